//! Doubles of any scale as whole numbers, so that their sum is exact, and nothing is agreed beforehand.
//!
//! A number is written in [`DIGITS`] digits of [`DIGIT_BITS`] bits, each a word of the ring: `x = sum of digit[i] * 2^(40 i - 304)`. Digits are
//! signed, and those of many numbers are added up before anything is carried, so a sum of members' digits is the digits of the members' sum
//! (a fixed-point superaccumulator; Kulisch, "Computer Arithmetic and Validity", 2013, chapter 8). What is below 2^-304 is rounded to it, half to even;
//! numbers from 2^175 on do not fit.

/// Digits of a number, the lowest first.
pub const DIGITS: usize = 12;
/// Bits of a digit.
pub const DIGIT_BITS: u32 = 40;
/// The exponent of two of the lowest digit.
const LOWEST: i32 = -304;
/// The exponent of two from which on a number does not fit.
const BEYOND: i32 = 175;
/// The exponent of two below which a number has lost too much: of what is above it at least 40 bits are kept.
const FAINT: i32 = -264;

/// Why a number cannot be written. Never shows it: it is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExactError {
    /// NaN or an infinity.
    #[error("is not a finite number")]
    NotFinite,
    /// From 2^175 on.
    #[error("is 2^175 or more, beyond what is summed exactly")]
    TooLarge,
    /// Not 0 and below 2^-265: its digits would be lost.
    #[error("is below 2^-265 and not 0, too small to be told from nothing")]
    TooSmall,
}

/// The digits of a number as they are contributed.
///
/// # Errors
/// [`ExactError`].
pub fn digits(x: f64) -> Result<[i64; DIGITS], ExactError> {
    let mut digits = [0; DIGITS];
    fits(x)?;
    let Some((mantissa, exponent)) = parts(x) else {
        return Ok(digits);
    };
    if exponent + bits(mantissa) < FAINT {
        return Err(ExactError::TooSmall);
    }
    let (mantissa, shift) = match u32::try_from(exponent - LOWEST) {
        Ok(shift) => (mantissa, shift),
        Err(_) => (rounded(mantissa, exponent.abs_diff(LOWEST)), 0),
    };
    let wide = u128::from(mantissa) << (shift % DIGIT_BITS);
    let first = usize::try_from(shift / DIGIT_BITS).unwrap_or(DIGITS);
    for (i, digit) in digits.iter_mut().skip(first).take(3).enumerate() {
        let part = low_digit(wide >> (40 * i));
        *digit = if x < 0.0 { -part } else { part };
    }
    Ok(digits)
}

/// Whether a number can be summed exactly: it is finite and below 2^175.
///
/// # Errors
/// [`ExactError::NotFinite`], [`ExactError::TooLarge`].
pub fn fits(x: f64) -> Result<(), ExactError> {
    match x.is_finite() {
        false => Err(ExactError::NotFinite),
        true if x.abs() >= power(BEYOND) => Err(ExactError::TooLarge),
        true => Ok(()),
    }
}

/// A scale: numbers as multiples of a power of two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    // In two factors: one may be no normal double.
    factors: [f64; 2],
}

impl Steps {
    /// Steps of 2^step, for steps from -1100 to 1100.
    #[must_use]
    pub fn new(step: i32) -> Self {
        let half = step / 2;
        Self {
            factors: [power(-half), power(half - step)],
        }
    }

    /// A number of at most 2^51 steps in them, half to even.
    #[must_use]
    #[inline]
    pub fn of(self, x: f64) -> i64 {
        // Adding it to a number of at most 2^51 and taking it away leaves a whole one: behind the point there is no room.
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        let [one, other] = self.factors;
        let whole = (x * one * other + MAGIC) - MAGIC;
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^51")]
        let whole = whole as i64;
        whole
    }
}

/// So many steps of 2^step, rounded to the nearest double, half to even.
#[must_use]
pub fn of_steps(steps: i128, step: i32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "to the nearest")]
    let nearest = steps as f64;
    // In two factors: one may be no normal double.
    let half = step / 2;
    nearest * power(half) * power(step - half)
}

/// The double nearest to the number of these digits, which may be sums over up to 2^22 members; half to even. Digits that are missing are 0.
#[must_use]
pub fn joined(digits: &[i64]) -> f64 {
    // One more, for what many members carry.
    let mut carried = [0_i128; DIGITS + 1];
    for (to, from) in carried.iter_mut().zip(digits) {
        *to = i128::from(*from);
    }
    let mut negative = false;
    // Once as they are; where the highest is negative, once more with the other sign: then none is.
    for turn in 0..2 {
        let mut over = 0_i128;
        for digit in carried.iter_mut().take(DIGITS) {
            let sum = *digit + over;
            over = sum >> DIGIT_BITS;
            *digit = sum - (over << DIGIT_BITS);
        }
        let Some(highest) = carried.last_mut() else {
            return 0.0;
        };
        *highest += over;
        if turn == 0 && *highest < 0 {
            negative = true;
            carried.iter_mut().for_each(|digit| *digit = -*digit);
        } else {
            break;
        }
    }
    let Some(highest) = carried.iter().rposition(|digit| *digit != 0) else {
        return 0.0;
    };
    // The highest two digits and the one below hold 81 bits or more; what is under them decides ties only.
    let from = highest.saturating_sub(2);
    let mut number = 0_u128;
    for digit in carried.iter().take(highest + 1).skip(from).rev() {
        number = (number << DIGIT_BITS) + digit.unsigned_abs();
    }
    let rest = carried.iter().take(from).any(|digit| *digit != 0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "to the nearest, half to even: the last bit stands for all below it"
    )]
    let nearest = (number | u128::from(rest)) as f64;
    let place = i32::try_from(from).unwrap_or(0) * 40 + LOWEST;
    let value = nearest * power(place);
    if negative { -value } else { value }
}

/// A finite number's magnitude as a whole number and an exponent of two; `None` for 0.
fn parts(x: f64) -> Option<(u64, i32)> {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    match (exponent, fraction) {
        (0, 0) => None,
        (0, _) => Some((fraction, -1074)),
        _ => Some((fraction | (1 << 52), exponent - 1075)),
    }
}

/// Bits of a whole number.
fn bits(number: u64) -> i32 {
    64 - i32::try_from(number.leading_zeros()).unwrap_or(0)
}

/// A whole number over 2^shift, half to even.
fn rounded(number: u64, shift: u32) -> u64 {
    // A mantissa has 53 bits.
    if shift > 54 {
        return 0;
    }
    let whole = number >> shift;
    let rest = number - (whole << shift);
    let half = 1_u64 << (shift - 1);
    match rest.cmp(&half) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal => whole + (whole & 1),
        std::cmp::Ordering::Greater => whole + 1,
    }
}

fn low_digit(number: u128) -> i64 {
    i64::try_from(number & ((1 << DIGIT_BITS) - 1)).unwrap_or(0)
}

/// 2^exponent, for exponents of normal doubles.
fn power(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap_or(0) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(numbers: &[f64]) -> Result<f64, ExactError> {
        let mut sum = [0_i64; DIGITS];
        for x in numbers {
            for (to, from) in sum.iter_mut().zip(digits(*x)?) {
                *to += from;
            }
        }
        Ok(joined(&sum))
    }

    /// A double of any sign whose magnitude is from 2^-250 to 2^170.
    fn number() -> impl Strategy<Value = f64> {
        (any::<bool>(), 0..1_u64 << 52, -250_i32..170).prop_map(|(negative, fraction, exponent)| {
            let x = f64::from_bits(fraction | (u64::try_from(exponent + 1023).unwrap() << 52));
            if negative { -x } else { x }
        })
    }

    #[test]
    fn numbers_of_any_scale_come_back() {
        for x in [
            0.0,
            1.0,
            -1.5,
            1e-9,
            1e9,
            4.7e-40,
            -3e52,
            0.1,
            f64::MIN_POSITIVE * 1e240,
        ] {
            assert_eq!(joined(&digits(x).unwrap()), x);
            assert_eq!(total(&[x]), Ok(x));
        }
        assert!(
            digits(1e-9)
                .unwrap()
                .iter()
                .all(|d| d.unsigned_abs() < 1 << 40)
        );
    }

    #[test]
    fn sums_are_exact_where_doubles_are_not() {
        assert_eq!(total(&[1e40, 1.0, -1e40]), Ok(1.0));
        assert_eq!(total(&[1e-40, 1e12, -1e12, 1e-40]), Ok(2e-40));
        assert_eq!(total(&[0.1; 10]), Ok(1.0));
        assert_eq!(total(&[]), Ok(0.0));
        assert_eq!(total(&[2.0, -2.0]), Ok(0.0));
        // Half to even, and the rest decides a tie.
        let step = 2.0_f64.powi(53);
        assert_eq!(total(&[step, 1.0]), Ok(step));
        assert_eq!(total(&[step, 1.0, 1e-60]), Ok(step + 2.0));
        assert_eq!(total(&[step, 3.0]), Ok(step + 4.0));
        assert_eq!(total(&[-step, -1.0, -1e-60]), Ok(-step - 2.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let most = 2.0_f64.powi(175);
        assert_eq!(digits(most), Err(ExactError::TooLarge));
        assert!(digits(most.next_down()).is_ok());
        assert_eq!(total(&[most / 2.0, most / 2.0]), Ok(most));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(digits(bad), Err(ExactError::NotFinite));
        }
        let least = 2.0_f64.powi(-265);
        assert!(digits(least).is_ok());
        assert_eq!(digits(least.next_down()), Err(ExactError::TooSmall));
        assert_eq!(digits(f64::from_bits(1)), Err(ExactError::TooSmall));
    }

    #[test]
    fn steps_are_whole_numbers_of_a_power_of_two() {
        let of = |x: f64, step| Steps::new(step).of(x);
        assert_eq!([of(5.0, 1), of(-7.0, 1), of(3.0, 1)], [2, -4, 2]);
        assert_eq!([of(1.0, -40), of(0.0, 9), of(1e-300, 0)], [1 << 40, 0, 0]);
        let (most, above) = (2.0_f64.powi(51), 2.0_f64.powi(100));
        assert_eq!([of(most, 0), of(-most, 0)], [1 << 51, -(1 << 51)]);
        assert_eq!(of(most.next_down() * above, 100), 1 << 51);
        assert_eq!(of(f64::from_bits(5), -1074), 5);
        assert_eq!(of_steps(3, -1), 1.5);
        assert_eq!(of_steps(-(1 << 80), -80), -1.0);
        assert_eq!(of_steps((1 << 53) + 1, 0), 2.0_f64.powi(53));
        assert_eq!(of_steps(1, -1074), f64::from_bits(1));
    }

    #[test]
    fn below_the_last_digit_is_rounded_half_to_even() {
        let unit = 2.0_f64.powi(LOWEST);
        let least = 2.0_f64.powi(-265);
        let of = |units: f64| digits(least + units * unit).unwrap()[0] - (1 << 39);
        assert_eq!(
            [of(0.0), of(1.0), of(0.5), of(1.5), of(2.5), of(0.75)],
            [0, 1, 0, 2, 2, 1]
        );
    }

    proptest! {
        #[test]
        fn steps_are_the_nearest(x in number(), below in 0_i32..60) {
            let (mantissa, exponent) = parts(x).unwrap();
            // From 2^51 steps down to less than one.
            let step = exponent + 2 + below;
            let steps = rounded(mantissa, step.abs_diff(exponent));
            let steps = i64::try_from(steps).unwrap();
            prop_assert_eq!(Steps::new(step).of(x), if x < 0.0 { -steps } else { steps });
        }

        #[test]
        fn a_number_is_its_digits(x in number()) {
            prop_assert_eq!(joined(&digits(x).unwrap()), x);
        }

        #[test]
        fn digits_of_members_add_up_to_the_exact_sum(
            numbers in proptest::collection::vec(number(), 1..20), order in any::<u64>()
        ) {
            let mut summed = [0_i64; DIGITS];
            for x in &numbers {
                for (to, from) in summed.iter_mut().zip(digits(*x).unwrap()) {
                    *to += from;
                }
            }
            let exact = joined(&summed);
            let mut turned = numbers.clone();
            let by = usize::try_from(order % numbers.len() as u64).unwrap();
            turned.rotate_left(by);
            turned.reverse();
            prop_assert_eq!(total(&turned).unwrap(), exact);
            // Within the error of a plain sum.
            let plain: f64 = numbers.iter().sum();
            let size: f64 = numbers.iter().map(|x| x.abs()).sum();
            prop_assert!((plain - exact).abs() <= size * 20.0 * f64::EPSILON);
        }

        #[test]
        fn two_doubles_are_added_as_the_processor_adds_them(a in number(), b in number()) {
            prop_assert_eq!(total(&[a, b]).unwrap(), a + b);
        }
    }
}
