//! The budget as a bar of plain characters, which a log shows as well as a terminal.

const WIDTH: usize = 40;

/// `epsilon 0.551  [#########-----]  44 % of 1.25`. Epsilons are rounded up: what is shown is never below what is.
pub(super) fn bar(epsilon: f64, budget: f64) -> String {
    let share = (epsilon / budget).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small width"
    )]
    let full = ((share * WIDTH as f64).ceil() as usize).min(WIDTH);
    format!(
        "epsilon {}  [{}{}] {:>3.0} % of {budget}",
        up(epsilon),
        "#".repeat(full),
        "-".repeat(WIDTH - full),
        share * 100.0
    )
}

/// An epsilon with three places, rounded up.
pub(super) fn up(epsilon: f64) -> String {
    format!("{:.3}", (epsilon * 1000.0).ceil() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spent_budget_is_a_full_bar() {
        assert!(bar(1.25, 1.25).contains(&format!("[{}] 100 %", "#".repeat(WIDTH))));
        assert!(bar(0.0, 1.25).contains(&format!("[{}]   0 %", "-".repeat(WIDTH))));
    }

    proptest! {
        #[test]
        fn a_bar_has_one_width_and_shows_no_less_than_there_is(epsilon in 0.0..20.0, budget in 0.1..10.0) {
            let text = bar(epsilon, budget);
            let (_, rest) = text.split_once('[').unwrap();
            let (inside, _) = rest.split_once(']').unwrap();
            prop_assert_eq!(inside.len(), WIDTH);
            let full = inside.matches('#').count() as f64;
            prop_assert!(full / WIDTH as f64 >= (epsilon / budget).min(1.0));
            prop_assert!(up(epsilon).parse::<f64>().unwrap() >= epsilon);
        }
    }
}
