//! Which output of a step becomes which sum: the numbers of each record, and the two vectors of its products.

use std::collections::BTreeMap;

use crate::convert::widen;
use crate::failure::Failure;
use crate::guard::Port;
use delta_domain::ids::Name;
use delta_domain::manifest::{Manifest, RoundSpec, Step, Target, Written};
use delta_domain::tensor::{Tensor, element_count};

/// An output of one batch: a block of numbers for each place.
pub(super) struct Block {
    numbers: Vec<f64>,
    pub(super) shape: Vec<usize>,
    length: usize,
}

impl Block {
    /// The numbers at a place.
    fn at(&self, place: usize) -> &[f64] {
        let from = place.saturating_mul(self.length);
        let to = from.saturating_add(self.length);
        self.numbers.get(from..to).unwrap_or_default()
    }
}

/// The outputs of a batch of so many places, by name.
pub(super) fn blocks(
    step: &Step,
    ports: &[Port],
    outputs: &[Option<Tensor>],
    places: usize,
) -> Result<BTreeMap<String, Block>, Failure> {
    let block = |output: &String| {
        let number = ports.iter().position(|p| p.name == *output);
        let tensor = number.and_then(|n| outputs.get(n)?.as_ref());
        let tensor = tensor
            .ok_or_else(|| Failure::rejected(format!("the graph has no output {output:?}")))?;
        let shape = match tensor.shape().split_first() {
            Some((first, shape)) if *first == places => shape.to_vec(),
            _ => {
                return Err(Failure::rejected(format!(
                    "output {output:?} has shape {:?} for {places} records; its first axis must count them",
                    tensor.shape()
                )));
            }
        };
        let block = Block {
            numbers: widen(tensor),
            length: element_count(&shape).unwrap_or(0),
            shape,
        };
        Ok((output.clone(), block))
    };
    step.outputs.keys().map(block).collect()
}

/// Shape of one record's block, by output.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// The shapes that the task declares of a step whose sums are contributed as they are; `None` where one of them is not.
pub(super) fn declared(manifest: &Manifest, step: &Step) -> Option<Shapes> {
    let of_step = |round: &&RoundSpec| round.map.steps.contains(step);
    let contributed = &manifest.rounds.iter().find(of_step)?.map.contribute;
    let shape = |target: &Target| {
        let (Target::Sum { name } | Target::Left { name } | Target::Right { name }) = target else {
            return None;
        };
        let sum = contributed.iter().find(|c| c.name == *name)?;
        match (target, sum.shape.as_slice()) {
            (Target::Left { .. }, &[p, _]) => Some(vec![p]),
            (Target::Right { .. }, &[_, q]) => Some(vec![q]),
            (Target::Sum { .. }, shape) => Some(shape.to_vec()),
            _ => None,
        }
    };
    let outputs = step.outputs.iter();
    outputs
        .map(|(output, target)| Some((output.clone(), shape(target)?)))
        .collect()
}

/// The sums of a step that are contributed as exact numbers.
pub(super) fn exact<'m>(manifest: &'m Manifest, step: &Step) -> Vec<&'m Name> {
    let of_step = |round: &&RoundSpec| round.map.steps.contains(step);
    let round = manifest.rounds.iter().find(of_step);
    let contributed = round.map_or(&[][..], |round| &round.map.contribute);
    let exact = contributed.iter().filter(|c| c.written == Written::Exact);
    exact.map(|c| &c.name).collect()
}

/// The form of a record, over all outputs.
pub(super) struct Layout {
    /// Outputs that are summed as they are, their sums and the shape of a block.
    pub(super) plain: Vec<(String, Name, Vec<usize>)>,
    pub(super) products: Vec<Product>,
    /// Numbers of a record beside its products.
    pub(super) width: usize,
}

/// Two outputs whose product is summed.
pub(super) struct Product {
    left: String,
    right: String,
    pub(super) name: Name,
    /// Lengths of the two vectors.
    pub(super) shape: (usize, usize),
}

impl Layout {
    /// Of a step whose outputs have these shapes a record.
    pub(super) fn of(step: &Step, shapes: &Shapes) -> Result<Self, Failure> {
        let (mut plain, mut products) = (Vec::new(), Vec::new());
        let shape = |output: &String| shapes.get(output).map_or(&[][..], Vec::as_slice);
        for (output, target) in &step.outputs {
            match target {
                Target::Sum { name } => {
                    plain.push((output.clone(), name.clone(), shape(output).to_vec()));
                }
                Target::Left { name } => {
                    let other = |(_, t): &(&String, &Target)| matches!(t, Target::Right { name: n } if n == name);
                    let right = step.outputs.iter().find(other).map(|(output, _)| output);
                    let right = right.ok_or_else(|| unpaired(name))?;
                    let (&[p], &[q]) = (shape(output), shape(right)) else {
                        return Err(unpaired(name));
                    };
                    products.push(Product {
                        left: output.clone(),
                        right: right.clone(),
                        name: name.clone(),
                        shape: (p, q),
                    });
                }
                Target::Right { .. } => {}
                Target::Value { .. } | Target::Carry { .. } => {
                    return Err(Failure::rejected(format!(
                        "output {output:?}: under the driver records nothing but sums leaves a step"
                    )));
                }
            }
        }
        let lengths = plain.iter().map(|(_, _, shape)| element_count(shape));
        let width = lengths
            .map(|n| n.unwrap_or(usize::MAX))
            .fold(0, usize::saturating_add);
        Ok(Self {
            plain,
            products,
            width,
        })
    }

    /// The places of a record's numbers whose sums are named here.
    pub(super) fn places(&self, names: &[&Name]) -> Vec<usize> {
        let mut places = Vec::new();
        let mut from = 0_usize;
        for (_, name, shape) in &self.plain {
            let to = from.saturating_add(element_count(shape).unwrap_or(0));
            if names.contains(&name) {
                places.extend(from..to);
            }
            from = to;
        }
        places
    }

    /// Replaces `to` with the numbers of the records at some places, one record after the other, those beside products.
    pub(super) fn plain(
        &self,
        blocks: &BTreeMap<String, Block>,
        places: &[usize],
        to: &mut Vec<f64>,
    ) {
        to.clear();
        to.resize(places.len().saturating_mul(self.width), 0.0);
        let mut from = 0_usize;
        for (output, ..) in &self.plain {
            let Some(block) = blocks.get(output) else {
                continue;
            };
            let length = block.length;
            let records = to.chunks_mut(self.width.max(1)).zip(places);
            for (record, place) in records {
                if let Some(own) = record.get_mut(from..from.saturating_add(length)) {
                    own.copy_from_slice(block.at(*place));
                }
            }
            from = from.saturating_add(length);
        }
    }

    /// The two vectors of each product of the record at a place.
    pub(super) fn products<'b>(
        &self,
        blocks: &'b BTreeMap<String, Block>,
        place: usize,
    ) -> Vec<(&'b [f64], &'b [f64])> {
        let at = |output: &String| blocks.get(output).map_or(&[][..], |b| b.at(place));
        let sides = self.products.iter().map(|p| (at(&p.left), at(&p.right)));
        sides.collect()
    }
}

fn unpaired(name: &Name) -> Failure {
    Failure::rejected(format!(
        "product {name}: each side must be one vector for each record, [records, length]"
    ))
}
