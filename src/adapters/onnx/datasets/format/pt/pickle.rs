//! The pickle of `torch.save`, followed without Python: what it builds are tensors, their names and plain values, and nothing runs.
//!
//! Every step makes at most one node, and nodes hold each other by number: a pickle of n bytes never becomes more than n nodes, however
//! often it repeats them.
//!
//! Source: `pickletools.py`, and `torch/serialization.py` with `torch/_utils.py` for what tensors become.

use std::collections::BTreeMap;

use crate::failure::Failure;

/// Where a tensor's numbers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorAt {
    /// The class of its numbers: `FloatStorage`.
    pub(super) storage: String,
    /// The name of the file with its numbers.
    pub(super) key: String,
    /// Elements before its first.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saved {
    One(TensorAt),
    /// In the order of the file.
    Named(Vec<(String, TensorAt)>),
}

/// Most dimensions of a tensor.
const DIMENSIONS: usize = 32;

/// Most tensors of a file, and places of their numbers, together.
const TENSORS: usize = 100_000;

/// Longest name of a place, or of a class.
const NAME: usize = 200;

/// The number of a node.
type Id = usize;

/// A value of the pickle.
#[derive(Debug, Clone)]
enum Node {
    /// Below it nothing belongs to what comes next.
    Mark,
    /// `None`, a float, bytes: of no use here.
    Plain,
    Truth,
    Int(i64),
    Text(String),
    /// A class or function, by its module and name.
    Global(&'static str),
    /// The class of a storage.
    Storage(String),
    Tuple(Vec<Id>),
    List,
    Dict(Vec<(Id, Id)>),
    /// The numbers of tensors: their class and the name of their file.
    Numbers(String, String),
    Tensor(Box<TensorAt>),
}

const REBUILD: &str = "torch._utils._rebuild_tensor_v2";
const ORDERED: &str = "collections.OrderedDict";
const DTYPE: &str = "dtype";

/// Follows a pickle to its end.
///
/// # Errors
/// What would need Python: it is named, with the cure.
pub(super) fn read(pickle: &[u8]) -> Result<Saved, Failure> {
    let mut machine = Machine {
        rest: pickle,
        nodes: Vec::new(),
        stack: Vec::new(),
        memo: BTreeMap::new(),
        tensors: 0,
    };
    while !machine.step()? {}
    let last = machine.pop()?;
    let tensor_of = |id: Id| match machine.nodes.get(id) {
        Some(Node::Tensor(tensor)) => Some((**tensor).clone()),
        _ => None,
    };
    match machine.nodes.get(last) {
        Some(Node::Tensor(tensor)) => Ok(Saved::One((**tensor).clone())),
        Some(Node::Dict(entries)) => Ok(Saved::Named(
            entries
                .iter()
                .filter_map(|(key, value)| match machine.nodes.get(*key) {
                    Some(Node::Text(name)) => Some((name.clone(), tensor_of(*value)?)),
                    _ => None,
                })
                .collect(),
        )),
        _ => Err(Failure::corrupt(
            "it holds neither a tensor nor a dict of tensors; save it with torch.save({\"x\": x, \"y\": y}, ...)",
        )),
    }
}

struct Machine<'p> {
    rest: &'p [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    memo: BTreeMap<usize, Id>,
    /// Tensors and places of numbers so far: they are larger than the steps that make them.
    tensors: usize,
}

impl Machine<'_> {
    /// One step; `true` at the end.
    fn step(&mut self) -> Result<bool, Failure> {
        let [code] = self.array::<1>()?;
        match code {
            b'.' => return Ok(true),
            // PROTO and FRAME say how, not what.
            0x80 => drop(self.array::<1>()?),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.push(Node::Mark),
            b'0' => drop(self.pop()?),
            b'N' => self.push(Node::Plain),
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Plain);
            }
            0x88 | 0x89 => self.push(Node::Truth),
            b'K' | b'M' | b'J' | 0x8a => {
                let number = self.number(code)?;
                self.push(Node::Int(number));
            }
            b'X' | 0x8c | 0x8d => {
                let text = self.text(code)?;
                self.push(Node::Text(text));
            }
            b']' => self.push(Node::List),
            b'}' => self.push(Node::Dict(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let kept = self.stack.len().checked_sub(usize::from(code - 0x84));
                let items = self.stack.split_off(kept.ok_or_else(damaged)?);
                self.push(Node::Tuple(items));
            }
            b't' => {
                let items = self.marked()?;
                self.push(Node::Tuple(items));
            }
            // What is in a list is of no use here; it was followed all the same.
            b'a' => drop(self.pop()?),
            b'e' => drop(self.marked()?),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.set(&items)?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo(code)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(&module, &name)?;
            }
            b'Q' => self.numbers()?,
            b'R' => self.call()?,
            b'b' => self.build()?,
            other => {
                return Err(Failure::corrupt(format!(
                    "its pickle has the step 0x{other:02x}, which tensors do not need; save tensors only"
                )));
            }
        }
        Ok(false)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Id, Failure> {
        self.stack.pop().ok_or_else(damaged)
    }

    fn pop_text(&mut self) -> Result<String, Failure> {
        let id = self.pop()?;
        match self.nodes.get(id) {
            Some(Node::Text(text)) => Ok(text.clone()),
            _ => Err(damaged()),
        }
    }

    /// What stands above the last mark, which goes with it.
    fn marked(&mut self) -> Result<Vec<Id>, Failure> {
        let is_mark = |id: &Id| matches!(self.nodes.get(*id), Some(Node::Mark));
        let mark = self.stack.iter().rposition(is_mark).ok_or_else(damaged)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or_else(damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number in as many bytes as its step has.
    fn number(&mut self, code: u8) -> Result<i64, Failure> {
        Ok(match code {
            b'K' => i64::from(u8::from_le_bytes(self.array()?)),
            b'M' => i64::from(u16::from_le_bytes(self.array()?)),
            b'J' => i64::from(i32::from_le_bytes(self.array()?)),
            _ => {
                let [length] = self.array()?;
                let bytes = self.bytes(usize::from(length))?;
                let mut number = [match bytes.last() {
                    Some(high) if *high >= 0x80 => 0xff,
                    _ => 0,
                }; 8];
                let too_large = || Failure::corrupt("its pickle has a number beyond 64 bits");
                let into = number.get_mut(..bytes.len()).ok_or_else(too_large)?;
                into.copy_from_slice(bytes);
                i64::from_le_bytes(number)
            }
        })
    }

    fn text(&mut self, code: u8) -> Result<String, Failure> {
        let length = match code {
            b'X' => u64::from(u32::from_le_bytes(self.array()?)),
            0x8c => u64::from(u8::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let text = std::str::from_utf8(self.bytes(length)?);
        Ok(text.map_err(|_| damaged())?.to_owned())
    }

    fn line(&mut self) -> Result<String, Failure> {
        let end = self.rest.iter().position(|b| *b == b'\n');
        let line = self.bytes(end.ok_or_else(damaged)?)?;
        let line = std::str::from_utf8(line).map_err(|_| damaged())?.to_owned();
        self.array::<1>()?;
        Ok(line)
    }

    fn bytes(&mut self, length: usize) -> Result<&[u8], Failure> {
        let (first, rest) = self.rest.split_at_checked(length).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(first)
    }

    /// Remembers the value on top, or brings one back.
    fn memo(&mut self, code: u8) -> Result<(), Failure> {
        let place = match code {
            b'q' | b'h' => usize::from(u8::from_le_bytes(self.array()?)),
            0x94 => self.memo.len(),
            _ => usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| damaged())?,
        };
        if matches!(code, b'h' | b'j') {
            let id = self.memo.get(&place).copied().ok_or_else(damaged)?;
            self.stack.push(id);
            return Ok(());
        }
        let top = self.stack.last().copied().ok_or_else(damaged)?;
        self.memo.insert(place, top);
        Ok(())
    }

    /// Puts keys and values into the dict on top.
    fn set(&mut self, items: &[Id]) -> Result<(), Failure> {
        let top = self.stack.last().copied().ok_or_else(damaged)?;
        match self.nodes.get_mut(top) {
            Some(Node::Dict(entries)) if items.len().is_multiple_of(2) => {
                entries.extend(
                    items
                        .as_chunks::<2>()
                        .0
                        .iter()
                        .map(|[key, value]| (*key, *value)),
                );
                Ok(())
            }
            _ => Err(damaged()),
        }
    }

    /// A class or function: one of those that tensors need.
    fn global(&mut self, module: &str, name: &str) -> Result<(), Failure> {
        let node = match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => Node::Global(REBUILD),
            ("collections", "OrderedDict") => Node::Global(ORDERED),
            ("torch", "float32" | "float64" | "float16" | "bfloat16") => Node::Global(DTYPE),
            (
                "torch",
                "int8" | "int16" | "int32" | "int64" | "uint8" | "bool" | "float" | "double"
                | "half" | "long" | "int" | "short",
            ) => Node::Global(DTYPE),
            ("torch", class) if class.ends_with("Storage") && class.len() <= NAME => {
                Node::Storage(class.to_owned())
            }
            ("torch._utils", "_rebuild_parameter") => {
                return Err(Failure::corrupt(
                    "it holds a torch.nn.Parameter; save its tensor: x.detach()",
                ));
            }
            ("torch._utils", "_rebuild_tensor_v3") => {
                return Err(Failure::corrupt(
                    "it holds a tensor of a type that is not read here; save it as float32, float64, an integer type with a sign, uint8 or bool",
                ));
            }
            ("torch._utils", other) if other.starts_with("_rebuild_") => {
                return Err(Failure::corrupt(format!(
                    "it holds a tensor of a kind that is not read here ({other}): sparse, quantized or not on a device; save x.to_dense().cpu()"
                )));
            }
            _ => {
                let shown: String = format!("{module}.{name}").chars().take(100).collect();
                return Err(Failure::corrupt(format!(
                    "it holds an object of class {shown}, which would run code; save tensors only: torch.save({{\"x\": x, \"y\": y}}, ...)"
                )));
            }
        };
        self.push(node);
        Ok(())
    }

    /// A reference to numbers in a file of their own: `('storage', class, key, place, length)`.
    fn numbers(&mut self) -> Result<(), Failure> {
        let id = self.pop()?;
        let parts: Vec<Node> = self.parts(id)?;
        let node = match parts.as_slice() {
            [
                Node::Text(kind),
                Node::Storage(class),
                Node::Text(key),
                Node::Text(_),
                Node::Int(_),
            ] if kind == "storage"
                && key.len() <= 20
                && key.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Node::Numbers(class.clone(), key.clone())
            }
            _ => return Err(damaged()),
        };
        self.count()?;
        self.push(node);
        Ok(())
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.tensors += 1;
        match self.tensors <= TENSORS {
            true => Ok(()),
            false => Err(Failure::corrupt(format!(
                "it holds more than {} tensors; save few large ones",
                TENSORS / 2
            ))),
        }
    }

    /// A call: of an ordered dict, or of what makes a tensor from its numbers.
    fn call(&mut self) -> Result<(), Failure> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let node = match self.nodes.get(function) {
            Some(Node::Global(ORDERED)) if self.items(arguments)?.is_empty() => {
                Node::Dict(Vec::new())
            }
            Some(Node::Global(REBUILD)) => {
                self.count()?;
                self.tensor(arguments)?
            }
            _ => return Err(damaged()),
        };
        self.push(node);
        Ok(())
    }

    /// `(numbers, offset, shape, strides, requires_grad, hooks)`, and in some versions what else is to be known.
    fn tensor(&self, arguments: Id) -> Result<Node, Failure> {
        let items = self.items(arguments)?;
        let [numbers, offset, shape, strides, _, hooks, ..] = items else {
            return Err(damaged());
        };
        for id in std::iter::once(hooks).chain(items.get(6..).unwrap_or_default()) {
            match self.nodes.get(*id) {
                Some(Node::Plain) => {}
                Some(Node::Dict(entries)) if entries.is_empty() => {}
                _ => {
                    return Err(Failure::corrupt(
                        "it holds a tensor with hooks or a view that changes signs; save x.detach().clone()",
                    ));
                }
            }
        }
        let Some(Node::Numbers(storage, key)) = self.nodes.get(*numbers) else {
            return Err(damaged());
        };
        let (shape, strides) = (self.lengths(*shape)?, self.lengths(*strides)?);
        if shape.len() != strides.len() {
            return Err(damaged());
        }
        Ok(Node::Tensor(Box::new(TensorAt {
            storage: storage.clone(),
            key: key.clone(),
            offset: self.length(*offset)?,
            shape,
            strides,
        })))
    }

    /// Attributes of a dict, which have no meaning here; anything else has none at all.
    fn build(&mut self) -> Result<(), Failure> {
        self.pop()?;
        let top = self.stack.last().copied().ok_or_else(damaged)?;
        match self.nodes.get(top) {
            Some(Node::Dict(_)) => Ok(()),
            _ => Err(damaged()),
        }
    }

    fn items(&self, id: Id) -> Result<&[Id], Failure> {
        match self.nodes.get(id) {
            Some(Node::Tuple(items)) => Ok(items),
            _ => Err(damaged()),
        }
    }

    /// The few values of a tuple.
    fn parts(&self, id: Id) -> Result<Vec<Node>, Failure> {
        let items = self.items(id)?;
        if items.len() > DIMENSIONS {
            return Err(damaged());
        }
        let node = |id: &Id| match self.nodes.get(*id) {
            // Only such are looked for; what is large is not copied.
            Some(node @ (Node::Int(_) | Node::Storage(_))) => Ok(node.clone()),
            Some(Node::Text(text)) if text.len() <= NAME => Ok(Node::Text(text.clone())),
            _ => Err(damaged()),
        };
        items.iter().map(node).collect()
    }

    fn lengths(&self, id: Id) -> Result<Vec<usize>, Failure> {
        let items = self.items(id)?;
        if items.len() > DIMENSIONS {
            return Err(Failure::corrupt(format!(
                "it holds a tensor of more than {DIMENSIONS} dimensions"
            )));
        }
        items.iter().map(|id| self.length(*id)).collect()
    }

    fn length(&self, id: Id) -> Result<usize, Failure> {
        match self.nodes.get(id) {
            Some(Node::Int(n)) => usize::try_from(*n).map_err(|_| damaged()),
            _ => Err(damaged()),
        }
    }
}

fn damaged() -> Failure {
    Failure::corrupt("its data.pkl is not as torch.save writes it: damaged, or not only tensors")
}
