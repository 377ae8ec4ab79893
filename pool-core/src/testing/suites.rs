//! The macros that turn the cases of a port into tests of an adapter.

/// One `#[tokio::test]` per case, in a module named after the port.
#[doc(hidden)]
#[macro_export]
macro_rules! cases_of_a_port {
    ($suite:ident, $port:ident, $open:expr, [$($case:ident),+ $(,)?]) => {
        mod $suite {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_guard, port) = $open;
                    let port: ::std::sync::Arc<dyn $crate::ports::$port> = port;
                    $crate::testing::finish($crate::testing::$suite::$case(port)).await;
                }
            )+
        }
    };
}

/// Tests a [`ShareLog`](crate::ports::ShareLog): `share_log_suite!(open)`, where `open` gives `(guard, Arc<adapter>)`
/// with an empty log. See [`crate::testing`].
#[macro_export]
macro_rules! share_log_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            share_log,
            ShareLog,
            $open,
            [
                an_empty_log_has_head_zero,
                an_empty_batch_returns_the_head,
                places_are_dense_and_returned,
                every_field_comes_back,
                pages_join_to_the_whole,
                limits_and_places_have_no_edge,
                a_batch_stays_together_among_many_writers,
                a_reader_beside_writers_sees_no_gap,
                the_share_of_a_block_is_logged_once,
                the_share_of_a_block_is_logged_once_by_many_at_once,
                an_ordinary_share_may_repeat,
                pruning_removes_what_is_before,
                the_head_outlives_pruning,
                pruning_forgets_no_block,
                pruning_beside_writers_loses_nothing_newer,
                hostile_workers_stay_apart,
            ]
        );
    };
}

/// Tests a [`BlockBook`](crate::ports::BlockBook): `block_book_suite!(open)`, where `open` gives `(guard, Arc<adapter>)`
/// with an empty book. See [`crate::testing`].
#[macro_export]
macro_rules! block_book_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            block_book,
            BlockBook,
            $open,
            [
                recording_again_changes_nothing,
                other_content_under_an_id_is_a_conflict,
                the_first_submission_stays,
                an_unknown_block_is_not_found,
                only_a_final_fate_concludes,
                a_fate_is_final,
                conclusions_are_numbered_in_their_order,
                open_blocks_come_in_the_order_of_recording,
                the_newest_come_first_in_pages,
                concluded_ones_come_in_pages,
                one_block_is_found_by_its_id,
                limits_and_places_have_no_edge,
                every_field_comes_back,
                many_record_one_block_once,
                many_conclude_densely,
                two_fates_at_once_leave_one,
            ]
        );
    };
}

/// Tests a [`Ledger`](crate::ports::Ledger): `ledger_suite!(open)`, where `open` gives `(guard, Arc<adapter>)` with an
/// empty ledger. See [`crate::testing`].
#[macro_export]
macro_rules! ledger_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            ledger,
            Ledger,
            $open,
            [
                an_empty_ledger_holds_nothing,
                posting_moves_money,
                posting_again_changes_nothing,
                another_time_is_the_same_entry,
                other_content_is_a_conflict_and_moves_nothing,
                entries_are_numbered_densely,
                every_cause_and_account_comes_back,
                an_empty_entry_is_an_entry,
                an_entry_is_listed_once_under_an_account,
                entries_come_in_pages,
                accounts_come_in_the_order_of_their_text,
                limits_and_places_have_no_edge,
                sums_reach_the_end_of_the_range_and_no_further,
                a_sum_past_the_range_moves_nothing_at_all,
                one_cause_posted_by_many_is_posted_once,
                two_contents_at_once_leave_one,
                debits_equal_credits_among_many_writers,
                a_reader_beside_writers_sees_whole_entries_only,
                hostile_names_stay_apart,
                hostile_texts_come_back,
            ]
        );
    };
}

/// Tests a [`PayoutBook`](crate::ports::PayoutBook): `payout_book_suite!(open)`, where `open` gives
/// `(guard, Arc<adapter>)` with an empty book. See [`crate::testing`].
#[macro_export]
macro_rules! payout_book_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            payout_book,
            PayoutBook,
            $open,
            [
                a_payout_goes_from_plan_to_end,
                preparing_again_changes_nothing,
                another_batch_under_an_id_is_a_conflict,
                an_unknown_payout_is_not_found,
                signed_bytes_are_never_replaced,
                what_has_ended_is_not_signed_any_more,
                what_was_never_signed_cannot_settle,
                what_was_never_signed_can_be_void,
                only_a_final_end_concludes,
                an_end_is_final,
                open_payouts_come_in_the_order_of_their_numbers,
                payouts_come_in_pages,
                limits_and_numbers_have_no_edge,
                two_coins_have_their_own_numbers,
                every_field_comes_back,
                two_batches_at_once_leave_one,
                two_signatures_at_once_leave_one,
                two_ends_at_once_leave_one,
            ]
        );
    };
}

/// Tests a [`Broker`](crate::ports::Broker): `broker_suite!(open)`, where `open` gives `(guard, Arc<adapter>)` without
/// topics. See [`crate::testing`].
#[macro_export]
macro_rules! broker_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            broker,
            Broker,
            $open,
            [
                an_unknown_topic_is_empty,
                messages_come_in_order,
                an_empty_batch_adds_nothing,
                what_was_not_committed_comes_again,
                a_position_never_moves_back,
                groups_do_not_see_each_other,
                a_late_group_begins_at_the_beginning,
                topics_do_not_see_each_other,
                messages_come_in_pages,
                payloads_are_any_bytes,
                hostile_names_stay_apart,
                no_message_of_many_publishers_is_lost,
                a_consumer_beside_publishers_misses_nothing,
            ]
        );
    };
}

/// Tests a [`Directory`](crate::ports::Directory): `directory_suite!(open)`, where `open` gives `(guard, Arc<adapter>)`
/// without miners. See [`crate::testing`].
#[macro_export]
macro_rules! directory_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            directory,
            Directory,
            $open,
            [
                an_unknown_miner_is_none,
                the_last_write_wins,
                a_threshold_can_be_taken_back,
                miners_come_in_pages_in_the_order_of_their_ids,
                limits_have_no_edge,
                thresholds_use_the_whole_range,
                hostile_names_stay_apart,
                many_writers_keep_every_miner,
            ]
        );
    };
}

/// Tests [`Rollups`](crate::ports::Rollups): `rollups_suite!(open)`, where `open` gives `(guard, Arc<adapter>)` without
/// sums. See [`crate::testing`].
#[macro_export]
macro_rules! rollups_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            rollups,
            Rollups,
            $open,
            [
                nothing_is_summed_at_first,
                batches_add_up,
                one_bucket_may_come_twice_in_a_batch,
                a_batch_counts_once,
                an_empty_batch_moves_the_position,
                series_are_ordered_and_bounded,
                a_range_that_ends_before_it_begins_is_empty,
                one_miner_is_not_another,
                hostile_workers_stay_apart,
                sums_use_the_whole_range,
                a_sum_past_the_range_changes_nothing,
                one_batch_by_many_at_once_counts_once,
                a_reader_beside_a_writer_sees_whole_batches,
            ]
        );
    };
}

/// Tests a [`DifficultyCache`](crate::ports::DifficultyCache): `difficulty_cache_suite!(open)`, where `open` gives
/// `(guard, Arc<adapter>)` with an empty cache that holds at least 64 workers. See [`crate::testing`].
#[macro_export]
macro_rules! difficulty_cache_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            difficulty_cache,
            DifficultyCache,
            $open,
            [
                an_unknown_worker_is_none,
                the_last_work_is_remembered,
                works_use_the_whole_range,
                hostile_workers_stay_apart,
                many_writers_leave_what_one_of_them_wrote,
            ]
        );
    };
}

/// Tests an [`EventBus`](crate::ports::EventBus): `event_bus_suite!(open)`, where `open` gives `(guard, Arc<adapter>)`.
/// See [`crate::testing`].
#[macro_export]
macro_rules! event_bus_suite {
    ($open:expr) => {
        $crate::cases_of_a_port!(
            event_bus,
            EventBus,
            $open,
            [
                nobody_need_listen,
                every_listener_hears_every_event_in_order,
                nothing_from_before_is_heard,
                every_kind_of_event_comes_through,
                a_listener_who_leaves_disturbs_nobody,
                a_listener_who_sleeps_delays_nobody_and_hears_the_newest,
                giving_up_waiting_loses_no_event,
                a_waiting_listener_is_woken,
                many_publishers_are_all_heard,
            ]
        );
    };
}

/// Tests all nine ports: `stores_suite!(open)`, where `open` gives `(guard, Stores)` with nothing in them. See
/// [`crate::testing`].
#[macro_export]
macro_rules! stores_suite {
    ($open:expr) => {
        $crate::share_log_suite!({
            let (guard, stores) = $open;
            (guard, stores.shares)
        });
        $crate::block_book_suite!({
            let (guard, stores) = $open;
            (guard, stores.blocks)
        });
        $crate::ledger_suite!({
            let (guard, stores) = $open;
            (guard, stores.ledger)
        });
        $crate::payout_book_suite!({
            let (guard, stores) = $open;
            (guard, stores.payouts)
        });
        $crate::broker_suite!({
            let (guard, stores) = $open;
            (guard, stores.broker)
        });
        $crate::directory_suite!({
            let (guard, stores) = $open;
            (guard, stores.directory)
        });
        $crate::rollups_suite!({
            let (guard, stores) = $open;
            (guard, stores.rollups)
        });
        $crate::difficulty_cache_suite!({
            let (guard, stores) = $open;
            (guard, stores.difficulty)
        });
        $crate::event_bus_suite!({
            let (guard, stores) = $open;
            (guard, stores.events)
        });
    };
}

/// Tests that everything acknowledged is there after reopening: `durable_suite!(reopen)`, where `reopen` gives a
/// [`Reopen`](crate::testing::Reopen) over data that is empty at first. See [`crate::testing`].
#[macro_export]
macro_rules! durable_suite {
    ($reopen:expr) => {
        $crate::durable_suite!(@cases $reopen, [
            shares_survive,
            a_pruned_log_goes_on_where_it_was,
            a_log_emptied_by_pruning_goes_on_where_it_was,
            the_share_of_a_block_is_logged_once_across_openings,
            blocks_survive,
            conclusions_go_on_where_they_were,
            the_ledger_survives,
            a_cause_pays_once_across_openings,
            payouts_survive,
            messages_and_positions_survive,
            miners_survive,
            sums_survive_and_count_once,
            what_many_writers_were_told_survives,
            many_openings_change_nothing,
        ]);
    };
    (@cases $reopen:expr, [$($case:ident),+ $(,)?]) => {
        mod durable {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let reopen = $reopen;
                    $crate::testing::finish($crate::testing::durable::$case(&reopen)).await;
                }
            )+
        }
    };
}
