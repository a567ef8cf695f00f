//! The obligations of the ports, one function each, and [`contract_tests!`](crate::contract_tests), which runs them on an adapter.
//!
//! A suite wants its adapter as a `Subject`: the adapter, and what only the test can do to it (a restart, damage, time that passes).
//! The house runs each suite on the adapter in memory and on the real ones; a crate of somebody else's does the same with one line:
//!
//! ```
//! use delta_testing::contracts::storage::Memory;
//!
//! delta_testing::contract_tests!(storage, in_memory, Memory::default());
//! ```

pub mod blob;
pub mod chain;
pub mod connector;
pub mod journal;
pub mod peer;
pub mod storage;
pub mod tokens;

/// Makes a module of tests, one for each obligation of a port, so that a failure has the obligation's name.
///
/// `contract_tests!(PORT, MODULE, SUBJECT)`: the port is `storage`, `blob`, `connector` (`chain` for one on a blockchain), `peer`, `tokens` or `journal`; the subject is an expression, which
/// may await and sees the names around the macro, and is evaluated anew for every test. Tests run on one thread, in real time.
#[macro_export]
macro_rules! contract_tests {
    (storage, $module:ident, $subject:expr) => {
        $crate::one_test_each! { storage, $module, $subject;
            machines::versions_count_from_one,
            machines::a_stale_version_conflicts_and_changes_nothing,
            machines::a_commit_is_all_or_nothing,
            machines::several_machines_change_together,
            machines::one_machine_may_change_twice_in_a_commit,
            machines::machines_of_a_kind_come_in_key_order,
            machines::large_and_binary_snapshots_come_back_whole,
            effects::effects_come_in_the_order_of_their_numbers,
            effects::a_number_used_twice_is_a_bug,
            effects::deleting_a_machine_deletes_its_outbox,
            journal::entries_follow_the_snapshot_until_the_next_one,
            journal::a_stale_entry_conflicts_and_a_machine_begins_with_a_snapshot,
            journal::a_deleted_machine_leaves_no_journal_behind,
            rows::log_numbers_are_global_and_ascend,
            rows::a_task_lives_through_its_states,
            rows::tasks_are_found,
            rows::pages_cut_the_list_in_either_direction,
            rows::unfinished_tasks_are_pending_or_running,
            rows::settings_are_replaced,
            identities::identities_are_kept_by_address,
            identities::no_more_identities_than_the_limit_are_kept,
            identities::who_was_not_seen_for_the_longest_time_is_let_go_and_nobody_who_is_spared,
            processes::a_restart_keeps_everything,
            processes::handles_that_write_at_once_lose_nothing,
        }
    };
    (blob, $module:ident, $subject:expr) => {
        $crate::one_test_each! { blob, $module, $subject;
            content::what_is_put_comes_back,
            content::more_than_the_limit_is_refused_and_the_old_content_stays,
            content::a_stream_that_fails_leaves_the_old_content,
            content::a_put_that_is_dropped_leaves_the_old_content,
            content::a_reader_keeps_what_it_opened,
            content::damage_is_noticed_before_the_end,
            names::what_is_absent_is_not_found,
            names::a_rename_moves_and_replaces,
            names::removal_takes_one_blob_or_everything_below,
            names::a_restart_keeps_everything,
            names::writers_of_one_name_leave_one_whole_content,
        }
    };
    (connector, $module:ident, $subject:expr) => {
        $crate::one_test_each! { connector, $module, $subject;
            absent::what_is_not_there_is_none,
            absent::data_that_nobody_has_registered_are_none,
            absent::a_round_without_weights_has_none,
            absent::shares_are_told_pair_by_pair,
            statements::what_is_said_twice_stands_once_and_is_found,
            statements::a_round_is_moved_by_its_owner_alone,
            statements::events_come_to_every_node_in_one_order,
            network::join_is_idempotent_by_url_and_lasts_120_seconds,
            network::leaving_and_updating_need_a_living_node,
            network::nodes_are_listed_in_join_order_by_pages,
            network::data_commitments_are_kept_by_owner_name_and_index,
            network::a_task_reads_as_written_and_its_services_are_apart,
            network::concurrent_joins_of_one_url_make_one_node,
            network::refusals_carry_the_connectors_own_text,
            network::a_proof_is_not_taken_unchecked,
            reasons::who_and_what_is_not_there,
            reasons::what_comes_at_the_wrong_time_or_twice,
            reasons::other_failures_have_no_reason,
            rounds::a_round_with_dropouts_goes_through_all_phases,
            rounds::only_the_owner_moves_a_task,
            rounds::a_finished_task_takes_nothing_more,
            rounds::lists_are_neither_empty_nor_repeated,
            rounds::one_of_two_concurrent_selections_wins,
            rounds::every_subscriber_hears_the_same_order,
            repeats::identical_repeats_are_accepted_and_publish_nothing,
            repeats::different_repeats_are_refused,
        }
    };
    // What holds on every connector, and what on a chain.
    (chain, $module:ident, $subject:expr) => {
        mod $module {
            #[allow(unused_imports, reason = "a subject may need no name from around it")]
            use super::*;

            $crate::one_test_each! { connector, as_any, $subject;
                absent::what_is_not_there_is_none,
                absent::data_that_nobody_has_registered_are_none,
                absent::a_round_without_weights_has_none,
                absent::shares_are_told_pair_by_pair,
                statements::what_is_said_twice_stands_once_and_is_found,
                statements::a_round_is_moved_by_its_owner_alone,
                statements::events_come_to_every_node_in_one_order,
            }
            $crate::one_test_each! { chain, as_chain, $subject;
            reverts::rounds_are_started_in_order,
            reverts::who_has_lapsed_creates_no_task,
            reverts::a_connector_speaks_for_its_own_wallet,
            views::nodes_are_paged_and_may_be_listed_twice,
            }
        }
    };
    (peer, $module:ident, $subject:expr) => {
        $crate::one_test_each! { peer, $module, $subject;
            messages::every_message_arrives_as_it_was_signed,
            messages::large_files_pass_both_ways,
            messages::refusals_keep_their_sentences,
            messages::answers_beyond_their_limit_are_corrupt,
        }
    };
    (journal, $module:ident, $subject:expr) => {
        $crate::one_test_each! { journal, $module, $subject;
            lines::lines_come_back_in_order,
            lines::a_restart_keeps_every_line,
        }
    };
    (tokens, $module:ident, $subject:expr) => {
        $crate::one_test_each! { tokens, $module, $subject;
            book::what_is_acknowledged_is_seen_by_every_handle,
            book::a_name_is_given_once,
            book::changes_at_once_lose_nothing,
        }
    };
}

/// For [`contract_tests!`](crate::contract_tests), which knows the names.
#[doc(hidden)]
#[macro_export]
macro_rules! one_test_each {
    ($port:ident, $module:ident, $subject:expr; $($group:ident::$clause:ident,)*) => {
        mod $module {
            #[allow(unused_imports, reason = "a subject may need no name from around it")]
            use super::*;

            $(#[test]
            fn $clause() {
                $crate::contracts::run(async {
                    $crate::contracts::$port::$group::$clause($subject).await;
                });
            })*
        }
    };
}

/// Runs a test to its end, on one thread.
#[doc(hidden)]
pub fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The macro names every obligation that there is: one that it does not name would never be run.
    #[test]
    fn no_obligation_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts");
        let list = std::fs::read_to_string(root.with_extension("rs")).unwrap();
        let mut found = 0;
        for port in [
            "storage",
            "blob",
            "connector",
            "chain",
            "peer",
            "tokens",
            "journal",
        ] {
            for entry in std::fs::read_dir(root.join(port)).unwrap() {
                let path = entry.unwrap().path();
                let group = path.file_stem().unwrap().to_str().unwrap();
                let source = std::fs::read_to_string(&path).unwrap();
                for item in source.split("\npub async fn ").skip(1) {
                    let (signature, _) = item.split_once('{').unwrap();
                    if signature.contains(": impl Subject") {
                        let (name, _) = signature.split_once('(').unwrap();
                        let line = format!("            {group}::{name},");
                        assert!(list.lines().any(|l| l == line), "{port}: {group}::{name}");
                        found += 1;
                    }
                }
            }
        }
        let listed = list.lines().filter(|line| {
            let name = line.strip_prefix("            ");
            name.is_some_and(|n| n.contains("::") && n.ends_with(',') && !n.contains(' '))
        });
        assert_eq!(found, listed.count());
    }
}
