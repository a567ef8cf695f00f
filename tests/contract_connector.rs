//! The `Connector` port's contract, run on every implementation: in memory, embedded in process, and the gRPC client against a
//! served embedded connector over loopback. What the reference alone does is in `transcripts.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "contract_connector/calls.rs"]
mod calls;
#[path = "contract_connector/reasons.rs"]
mod reasons;
#[path = "contract_connector/rounds.rs"]
mod rounds;
#[path = "contract_connector/world.rs"]
mod world;

/// One test a clause and implementation.
macro_rules! contract {
    ($($module:ident::$clause:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $clause() { super::$module::$clause(super::world::World::memory()).await })*
        }
        mod embedded {
            $(#[tokio::test] async fn $clause() { super::$module::$clause(super::world::World::embedded().await).await })*
        }
        mod grpc {
            $(#[tokio::test] async fn $clause() { super::$module::$clause(super::world::World::grpc().await).await })*
        }
    };
}

contract!(
    calls::join_is_idempotent_by_url_and_lasts_120_seconds,
    calls::leaving_and_updating_need_a_living_node,
    calls::nodes_are_listed_in_join_order_by_pages,
    calls::data_commitments_are_kept_by_owner_name_and_index,
    calls::a_task_reads_as_written_and_its_services_are_apart,
    calls::concurrent_joins_of_one_url_make_one_node,
    calls::refusals_carry_the_connectors_own_text,
    calls::a_proof_is_not_taken_unchecked,
    reasons::who_and_what_is_not_there,
    reasons::what_comes_at_the_wrong_time_or_twice,
    reasons::which_commitments_are_missing,
    reasons::other_failures_have_no_reason,
    rounds::a_round_with_dropouts_goes_through_all_phases,
    rounds::identical_repeats_are_accepted_and_publish_nothing,
    rounds::different_repeats_are_refused,
    rounds::only_the_owner_moves_a_task,
    rounds::a_finished_task_takes_nothing_more,
    rounds::lists_are_neither_empty_nor_repeated,
    rounds::one_of_two_concurrent_selections_wins,
    rounds::every_subscriber_hears_the_same_order,
);
