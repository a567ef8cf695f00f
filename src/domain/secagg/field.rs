//! Arithmetic modulo the prime 2^521 - 1, the field of the share encoding (docs/protocol/secagg.md, Shares).
//!
//! Nine 64-bit limbs, little-endian; reduction is a shift because the prime is a Mersenne number. The running time does not
//! depend on the values, only on the number of operations. Not a general big-integer library: what Shamir needs, no more.

#![expect(
    clippy::needless_range_loop,
    reason = "carry chains run over several arrays side by side"
)]

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Limbs of an element.
const LIMBS: usize = 9;
/// Bits of the top limb that belong to the element: 521 = 8 * 64 + 9.
const TOP_BITS: u32 = 9;
const TOP_MASK: u64 = (1 << TOP_BITS) - 1;

/// Bytes of the longest element.
pub const ELEMENT_BYTES: usize = 66;

/// An integer modulo 2^521 - 1, always fully reduced.
#[derive(Clone, Copy, Default, Zeroize)]
pub struct Element([u64; LIMBS]);

/// A sum of products that has not been reduced yet. A product is below 2^1042; 2^45 of them leave the last limb zero.
#[derive(Clone, Copy, Default, Zeroize)]
pub(super) struct Wide([u64; 2 * LIMBS]);

impl Element {
    /// The element one.
    pub const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// The element of a small integer.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self([value, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Reads big-endian bytes. `None` when they are more than [`ELEMENT_BYTES`] or the value is not below the prime.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ELEMENT_BYTES {
            return None;
        }
        let mut padded = Zeroizing::new([0_u8; 8 * LIMBS]);
        padded[8 * LIMBS - bytes.len()..].copy_from_slice(bytes);
        let mut limbs = [0; LIMBS];
        for (limb, chunk) in limbs.iter_mut().zip(padded.as_chunks::<8>().0.iter().rev()) {
            *limb = u64::from_be_bytes(*chunk);
        }
        let out = Self(limbs);
        (limbs[LIMBS - 1] <= TOP_MASK && !out.is_prime()).then_some(out)
    }

    /// All 66 big-endian bytes.
    #[must_use]
    pub fn to_be_bytes(&self) -> Zeroizing<[u8; ELEMENT_BYTES]> {
        let mut padded = Zeroizing::new([0_u8; 8 * LIMBS]);
        for (limb, chunk) in self
            .0
            .iter()
            .zip(padded.as_chunks_mut::<8>().0.iter_mut().rev())
        {
            *chunk = limb.to_be_bytes();
        }
        let mut out = Zeroizing::new([0; ELEMENT_BYTES]);
        out.copy_from_slice(&padded[8 * LIMBS - ELEMENT_BYTES..]);
        out
    }

    /// Draws a uniform element: 66 bytes, big-endian, cut to 521 bits, drawn again in the one case of 2^521 that is the prime.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0_u8; ELEMENT_BYTES]);
        loop {
            rng.fill_bytes(&mut *bytes);
            bytes[0] &= 1;
            if let Some(element) = Self::from_be_bytes(&*bytes) {
                return element;
            }
        }
    }

    /// Sum in the field.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let mut out = [0; LIMBS];
        let mut carry = false;
        for i in 0..LIMBS {
            (out[i], carry) = carrying_add(self.0[i], other.0[i], carry);
        }
        Self::reduced(out)
    }

    /// Product with a small integer. Not constant time in `factor`'s size, which is public.
    #[must_use]
    pub fn mul_small(&self, factor: u64) -> Self {
        let mut out = [0; LIMBS];
        let mut carry = 0;
        for i in 0..LIMBS {
            (out[i], carry) = mul_add(self.0[i], factor, 0, carry);
        }
        // The product is below 2^585, so what lies above bit 521 fits one word.
        let high = (carry << (64 - TOP_BITS)) | (out[LIMBS - 1] >> TOP_BITS);
        out[LIMBS - 1] &= TOP_MASK;
        let mut carry;
        (out[0], carry) = out[0].overflowing_add(high);
        for limb in &mut out[1..] {
            (*limb, carry) = limb.overflowing_add(u64::from(carry));
        }
        Self::reduced(out)
    }

    /// Product in the field.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Self {
        product(&self.0, &other.0).reduce()
    }

    /// Product with itself.
    #[must_use]
    pub fn square(&self) -> Self {
        self.mul(self)
    }

    /// What gives zero when added.
    #[must_use]
    pub fn negate(&self) -> Self {
        // p - a inverts every bit below 521.
        let mut out = self.0.map(|limb| !limb);
        out[LIMBS - 1] &= TOP_MASK;
        Self::reduced(out)
    }

    /// Multiplicative inverse by Fermat's little theorem; zero for zero.
    #[must_use]
    pub fn invert(&self) -> Self {
        // e_k stands for a^(2^k - 1); the exponent p - 2 is (2^519 - 1) * 4 + 1.
        let squared = |a: Self, times: usize| (0..times).fold(a, |x, _| x.square());
        let e1 = *self;
        let e2 = squared(e1, 1).mul(&e1);
        let e3 = squared(e2, 1).mul(&e1);
        let e4 = squared(e2, 2).mul(&e2);
        let e7 = squared(e4, 3).mul(&e3);
        let mut e512 = e4;
        for half in [4, 8, 16, 32, 64, 128, 256] {
            e512 = squared(e512, half).mul(&e512);
        }
        squared(squared(e512, 7).mul(&e7), 2).mul(&e1)
    }

    /// The values of the polynomial with these coefficients (constant term first) at some small points.
    ///
    /// Horner's rule with the reduction folded into the next step: what overflows 521 bits is worth its own value, so
    /// `overflow * x` enters the next multiplication as its first carry. The points are independent chains of carries, which
    /// the processor overlaps.
    #[must_use]
    pub fn evaluate<const N: usize>(coefficients: &[Self], points: [u16; N]) -> [Self; N] {
        let mut sums = [[0_u64; LIMBS]; N];
        for c in coefficients.iter().rev() {
            for (acc, x) in sums.iter_mut().zip(points) {
                let x = u64::from(x);
                // acc < 2^(521 + 18), so the overflow times x stays far below 2^64.
                let mut carry = (acc[LIMBS - 1] >> TOP_BITS) * x;
                acc[LIMBS - 1] &= TOP_MASK;
                for i in 0..LIMBS {
                    (acc[i], carry) = mul_add(acc[i], x, c.0[i], carry);
                }
            }
        }
        sums.map(Self::reduced)
    }

    /// Brings any nine limbs below the prime.
    fn reduced(mut limbs: [u64; LIMBS]) -> Self {
        // The first fold leaves at most 2^521; the second at most the prime itself, which is zero.
        for _ in 0..2 {
            let high = limbs[LIMBS - 1] >> TOP_BITS;
            limbs[LIMBS - 1] &= TOP_MASK;
            let mut carry;
            (limbs[0], carry) = limbs[0].overflowing_add(high);
            for limb in &mut limbs[1..] {
                (*limb, carry) = limb.overflowing_add(u64::from(carry));
            }
        }
        let mut out = Self(limbs);
        let keep = u64::from(out.is_prime()).wrapping_sub(1);
        for limb in &mut out.0 {
            *limb &= keep;
        }
        out
    }

    /// Whether the limbs are the prime: all 521 bits set. Looks at every limb.
    fn is_prime(&self) -> bool {
        let ones = self.0[..LIMBS - 1]
            .iter()
            .fold(u64::MAX, |acc, limb| acc & limb);
        (ones == u64::MAX) & (self.0[LIMBS - 1] == TOP_MASK)
    }
}

/// Elements are secrets or parts of them.
impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Element")
    }
}

impl Wide {
    /// Adds the product of two elements, row by row: what overflows at a row's end goes in at the next one's.
    pub(super) fn add_product(&mut self, a: &Element, b: &Element) {
        let mut over = false;
        for i in 0..LIMBS {
            let mut carry = 0;
            for j in 0..LIMBS {
                (self.0[i + j], carry) = mul_add(a.0[i], b.0[j], self.0[i + j], carry);
            }
            (self.0[i + LIMBS], over) = carrying_add(self.0[i + LIMBS], carry, over);
        }
    }

    /// The sum modulo the prime.
    pub(super) fn reduce(&self) -> Element {
        let mut out = [0; LIMBS];
        let mut carry = false;
        for i in 0..LIMBS {
            let low = if i == LIMBS - 1 {
                self.0[i] & TOP_MASK
            } else {
                self.0[i]
            };
            let high = (self.0[i + LIMBS - 1] >> TOP_BITS) | (self.0[i + LIMBS] << (64 - TOP_BITS));
            (out[i], carry) = carrying_add(low, high, carry);
        }
        Element::reduced(out)
    }
}

fn product(a: &[u64; LIMBS], b: &[u64; LIMBS]) -> Wide {
    let mut out = [0; 2 * LIMBS];
    for i in 0..LIMBS {
        let mut carry = 0;
        for j in 0..LIMBS {
            (out[i + j], carry) = mul_add(a[i], b[j], out[i + j], carry);
        }
        out[i + LIMBS] = carry;
    }
    Wide(out)
}

/// `a * b + c + d`, low and high word. Never overflows: (2^64-1)^2 + 2 (2^64-1) = 2^128 - 1.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are taken on purpose"
)]
fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let t = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (t as u64, (t >> 64) as u64)
}

#[inline(always)]
fn carrying_add(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (s, c1) = a.overflowing_add(b);
    let (s, c2) = s.overflowing_add(u64::from(carry));
    (s, c1 | c2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{decode_hex, encode_hex};

    fn hex(text: &str) -> Element {
        Element::from_be_bytes(&decode_hex(text).unwrap()).unwrap()
    }

    fn show(e: &Element) -> String {
        encode_hex(&*e.to_be_bytes())
    }

    fn prime_minus(small: u8) -> Element {
        let mut bytes = [0xff; ELEMENT_BYTES];
        bytes[0] = 1;
        bytes[ELEMENT_BYTES - 1] -= small;
        Element::from_be_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_prime_and_more_are_not_elements() {
        let mut bytes = [0xff; ELEMENT_BYTES];
        bytes[0] = 1;
        assert!(Element::from_be_bytes(&bytes).is_none());
        bytes[0] = 2;
        assert!(Element::from_be_bytes(&bytes).is_none());
        assert!(Element::from_be_bytes(&[0; ELEMENT_BYTES + 1]).is_none());
        assert!(Element::from_be_bytes(&[]).is_some());
    }

    #[test]
    fn wraps_at_the_prime() {
        let minus_one = prime_minus(1);
        assert_eq!(
            show(&minus_one.add(&Element::ONE)),
            show(&Element::default())
        );
        assert_eq!(show(&minus_one.mul(&minus_one)), show(&Element::ONE));
        assert_eq!(
            show(&minus_one.mul_small(u64::MAX)),
            show(&Element::from_u64(u64::MAX).negate())
        );
        assert_eq!(
            show(&Element::default().negate()),
            show(&Element::default())
        );
        assert_eq!(show(&prime_minus(2).negate()), show(&Element::from_u64(2)));
    }

    #[test]
    fn agrees_with_python_integers() {
        // a = int("123456789abcdef" * 8, 16); b = pow(3, 400, 2**521 - 1)
        let a = hex(A);
        let b = hex(B);
        assert_eq!(show(&a.mul(&b)), A_TIMES_B);
        assert_eq!(show(&b.invert()), B_INVERSE);
        assert_eq!(show(&b.mul_small(0xffff_ffff_ffff_fffb)), B_TIMES_SMALL);
        assert_eq!(
            show(&Element::evaluate(&[a, b, a, b], [65_535])[0]),
            POLYNOMIAL
        );
    }

    fn element() -> impl Strategy<Value = Element> {
        // Limbs of all ones and all zeros are where carries go wrong.
        prop::collection::vec(prop_oneof![Just(0_u64), Just(u64::MAX), any::<u64>()], 9).prop_map(
            |v| {
                let mut limbs = [0; LIMBS];
                limbs.copy_from_slice(&v);
                Element::reduced(limbs)
            },
        )
    }

    proptest! {
        #[test]
        fn is_a_field(a in element(), b in element(), c in element()) {
            prop_assert_eq!(show(&a.add(&b).mul(&c)), show(&a.mul(&c).add(&b.mul(&c))));
            prop_assert_eq!(show(&a.mul(&b)), show(&b.mul(&a)));
            prop_assert_eq!(show(&a.add(&a.negate())), show(&Element::default()));
            prop_assert_eq!(show(&a.mul(&a.invert())), show(&if a.0 == [0; LIMBS] { Element::default() } else { Element::ONE }));
        }

        #[test]
        fn small_factors_and_horner_agree_with_full_products(a in element(), b in element(), c in element(), small in any::<u64>(), x in any::<u16>()) {
            prop_assert_eq!(show(&a.mul_small(small)), show(&a.mul(&Element::from_u64(small))));
            let point = Element::from_u64(u64::from(x));
            let slow = a.add(&b.mul(&point)).add(&c.mul(&point).mul(&point));
            prop_assert_eq!(show(&Element::evaluate(&[a, b, c], [1, x])[1]), show(&slow));
            let mut wide = Wide::default();
            wide.add_product(&a, &b);
            wide.add_product(&b, &c);
            wide.add_product(&a, &c);
            prop_assert_eq!(show(&wide.reduce()), show(&a.mul(&b).add(&b.mul(&c)).add(&a.mul(&c))));
        }

        #[test]
        fn bytes_round_trip(a in element()) {
            prop_assert_eq!(show(&Element::from_be_bytes(&*a.to_be_bytes()).unwrap()), show(&a));
        }
    }
    const A: &str = "0x000000000000123456789abcdef123456789abcdef123456789abcdef123456789abcdef123456789abcdef123456789abcdef123456789abcdef123456789abcdef";
    const B: &str = "0x0196a83e3ecffa9529cecaeb57b8640ed46a2f81cd3eb9debc89124d87e6bb7f2275b6a433a34b1560b9957b01e3e5a3814a3556c33c1587876883c6ed3518c863d5";
    const A_TIMES_B: &str = "0x00634d8cf51df4a5b2f2559c7b6db9d3e8a1366c4ecad20e69795f992a704b97dd937243a8780fc616eb8e25e4a53bf0b8b8bfb4da1dbac0b28c176acccad9b19aaf";
    const B_INVERSE: &str = "0x00df54bc47f6d077a9aca62f01146126d7db482e4b1883d1a3ba1eecf749195986baed2c8b6846afff23c86ca67b839e5ec7a27e733d109993362d0f746e572a9d90";
    const B_TIMES_SMALL: &str = "0x01dd81b41da87f25036038e916a4c594967624c485ad1a2573c85b208c21a199b46d0445ffb36e389daa49efb9c8995600f579151d08ad22becb38717d15ec135767";
    const POLYNOMIAL: &str = "0x01f0f706ec43bb3b8b5e0c2571eeeb89cddf12b217c203bb5c89c7d70e9567f5cf7eaeac4a9184970f4d8bda6783c3a34c67d726f189bd0e2e52a7e66df092630c21";
}
