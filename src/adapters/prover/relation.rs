//! What links the masked messages of rounds to the opened rows: one linear equation in pads and masks.
//!
//! A round's message is the polynomial's coefficients but the linear one, each plus a pad. Had the pads been zero, following the claim through
//! the rounds would end at the summand of the opened rows; it ends beside it by `<of_pads, pads> + <of_masks, masks>`.

use curve25519_dalek::scalar::Scalar;

use crate::field::powers;
use crate::layout::Layout;

/// Where the claim is after a round, from where it was before: `message` is coefficients 0, 2, 3, ....
pub(crate) fn follow(claim: Scalar, message: &[Scalar], challenge: &Scalar) -> Scalar {
    let terms = message.iter().zip(factors(challenge, message.len()));
    terms.fold(claim * challenge, |sum, (coefficient, factor)| {
        sum + coefficient * factor
    })
}

/// What each coefficient of a message adds to the claim after it.
fn factors(challenge: &Scalar, count: usize) -> Vec<Scalar> {
    let of_constant = Scalar::ONE - challenge - challenge;
    let higher = powers(*challenge, count + 1)
        .into_iter()
        .skip(2)
        .map(|power| power - challenge);
    std::iter::once(of_constant).chain(higher).collect()
}

/// Factors of pads and of masks.
pub(crate) fn functional(
    layout: &Layout,
    challenges: &[Scalar],
    lambdas: &[Scalar],
) -> (Vec<Scalar>, Vec<Scalar>) {
    let mut of_pads = vec![Vec::new(); challenges.len()];
    let mut later = Scalar::ONE;
    for (round, challenge) in challenges.iter().enumerate().rev() {
        of_pads[round] = factors(challenge, layout.degree(round))
            .iter()
            .map(|f| f * later)
            .collect();
        later *= challenge;
    }
    let of_masks = lambdas.iter().map(|lambda| lambda * later).collect();
    (of_pads.concat(), of_masks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{dot, signed};

    #[test]
    fn a_polynomial_is_followed_without_its_linear_coefficient() {
        let c = [5, -7, 11, 2].map(signed);
        let at = |x: Scalar| dot(&c, &powers(x, 4));
        let claim = at(Scalar::ZERO) + at(Scalar::ONE);
        let x = signed(123_456);
        assert_eq!(follow(claim, &[c[0], c[2], c[3]], &x), at(x));
    }
}
