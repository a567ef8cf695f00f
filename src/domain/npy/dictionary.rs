//! The Python dictionary of an `.npy` header, read without Python. Not here: what its entries mean.
//!
//! Other writers than NumPy put the same as JSON there: `true` and `false`, and a list as the shape.

/// Most dimensions of an array.
const MAX_DIMENSIONS: usize = 32;

/// The three entries of the dictionary.
pub(super) struct Dictionary {
    pub(super) descr: String,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

impl Dictionary {
    /// Reads the whole text.
    ///
    /// # Errors
    /// What is wrong with it, for the end of a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut descr = None;
        let mut fortran_order = None;
        let mut shape = None;
        let mut reader = Reader(text);
        reader.expect("{")?;
        while !reader.accept("}") {
            let key = reader.string()?;
            reader.expect(":")?;
            let first = match key {
                "descr" => descr.replace(reader.string()?.to_owned()).is_none(),
                "fortran_order" => fortran_order.replace(reader.truth()?).is_none(),
                "shape" => shape.replace(reader.tuple()?).is_none(),
                _ => false,
            };
            if !first {
                return Err("a key is unknown or stands twice".to_owned());
            }
            if !reader.accept(",") {
                reader.expect("}")?;
                break;
            }
        }
        if !reader.0.trim_ascii().is_empty() {
            return Err("something follows the dictionary".to_owned());
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self {
                descr,
                fortran_order,
                shape,
            }),
            _ => Err("descr, fortran_order or shape is missing".to_owned()),
        }
    }
}

/// What is left of the dictionary's text.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.0.trim_ascii_start();
        rest.strip_prefix(token).map(|rest| self.0 = rest).is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(format!("expected {token:?} in its dictionary"))
        }
    }

    /// A quoted string without escapes.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept("'") {
            '\''
        } else {
            self.expect("\"")
                .map(|()| '"')
                .map_err(|_| "expected a string (records cannot be used)".to_owned())?
        };
        let (inside, rest) = self.0.split_once(quote).ok_or("a string has no end")?;
        if inside.contains('\\') {
            return Err("a string has escapes".to_owned());
        }
        self.0 = rest;
        Ok(inside)
    }

    fn truth(&mut self) -> Result<bool, String> {
        if self.accept("True") || self.accept("true") {
            return Ok(true);
        }
        if self.accept("false") {
            return Ok(false);
        }
        self.expect("False").map(|()| false)
    }

    /// `()`, `(3,)`, `(3, 4)`, `[3, 4]`.
    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        let end = if self.accept("[") {
            "]"
        } else {
            self.expect("(").map(|()| ")")?
        };
        while !self.accept(end) {
            if dims.len() == MAX_DIMENSIONS {
                return Err(format!("more than {MAX_DIMENSIONS} dimensions"));
            }
            let rest = self.0.trim_ascii_start();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = rest.split_at(digits);
            dims.push(
                number
                    .parse()
                    .map_err(|_| "a dimension is not a whole number".to_owned())?,
            );
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if !self.accept(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(dims)
    }
}
