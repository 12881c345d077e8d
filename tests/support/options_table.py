"""Which test exercises which value of which option against the real domain.

Held against the API's own enumerations and against the tests that there are by tests/unit/engine/test_options_table.py.
"""

from __future__ import annotations

SWITCHES: dict[tuple[str, str], tuple[str, ...]] = {
    ("transferMode", "Changed"): (
        "test_a_second_run_transfers_nothing_and_changes_nothing",
        "test_what_is_looked_at_decides_whether_hidden_damage_is_mended",
    ),
    ("transferMode", "All"): ("test_what_is_looked_at_decides_whether_hidden_damage_is_mended",),
    ("compareBy", "SizeAndTime"): (
        "test_what_is_looked_at_decides_whether_hidden_damage_is_mended",
        "test_another_time_of_writing_alone_costs_content_or_only_the_time",
    ),
    ("compareBy", "Metadata"): ("test_compared_by_metadata_what_changed_follows_and_no_content_is_read",),
    ("compareBy", "Checksum"): (
        "test_what_is_looked_at_decides_whether_hidden_damage_is_mended",
        "test_another_time_of_writing_alone_costs_content_or_only_the_time",
        "test_compared_by_checksum_a_changed_access_list_follows",
    ),
    ("overwriteMode", "Always"): ("test_what_changed_is_replaced_whole",),
    ("overwriteMode", "Never"): ("test_what_is_there_is_never_overwritten_and_what_is_not_is_copied",),
    ("overwriteMode", "IfNewer"): ("test_only_what_is_newer_at_the_source_replaces_what_is_there",),
    ("deletedFiles", "Preserve"): ("test_what_only_the_destination_has_stays_by_default",),
    ("deletedFiles", "Remove"): (
        "test_removed_files_go_and_the_limit_holds",
        "test_at_most_so_many_are_deleted_or_none",
        "test_nothing_is_deleted_after_an_incomplete_listing_of_the_source",
    ),
    ("verifyMode", "OnlyFilesTransferred"): ("test_a_bit_that_flips_on_the_servers_disk",),
    ("verifyMode", "PointInTimeConsistent"): (
        "test_a_bit_that_flips_on_the_servers_disk",
        "test_point_in_time_verification_finds_what_was_changed_behind_our_back",
        "test_metadata_that_was_changed_behind_our_back_is_found_where_it_is_copied",
    ),
    ("verifyMode", "None"): ("test_a_bit_that_flips_on_the_servers_disk",),
    ("securityDescriptors", "None"): ("test_without_descriptors_the_destination_keeps_its_own",),
    ("securityDescriptors", "OwnerDacl"): (
        "test_owner_and_access_list_are_the_sources",
        "test_owner_access_list_and_audit_list_as_the_servers_own_store_has_them",
        "test_an_owner_that_the_account_may_not_set_is_said_and_everything_else_is_copied",
    ),
    ("securityDescriptors", "OwnerDaclSacl"): (
        "test_owner_access_list_and_audit_list_as_the_servers_own_store_has_them",
        "test_without_the_privilege_the_audit_list_stays_behind_and_each_file_says_so",
    ),
    ("timestamps", "Preserve"): (
        "test_all_three_times_are_the_sources_on_files_and_folders",
        "test_a_folders_times_come_last",
    ),
    ("timestamps", "None"): ("test_times_that_are_not_copied_are_the_destinations_own_and_nothing_is_copied_twice",),
    ("attributes", "Preserve"): ("test_each_attribute_is_the_sources",),
    ("attributes", "None"): ("test_attributes_that_are_not_copied_are_the_destinations_own",),
    ("links", "Skip"): ("test_a_reparse_point_is_skipped_or_fails_and_is_never_followed",),
    ("links", "Fail"): ("test_a_reparse_point_is_skipped_or_fails_and_is_never_followed",),
    ("links", "Copy"): (
        "test_a_reparse_point_is_skipped_or_fails_and_is_never_followed",
        "test_a_server_without_links_refuses_one_in_a_way_that_is_known",
    ),
    ("streams", "Copy"): ("test_streams_and_extended_attributes_travel_with_files_and_folders",),
    ("streams", "Ignore"): ("test_ignored_streams_and_extended_attributes_of_the_destination_stay",),
    ("extendedAttributes", "Copy"): ("test_streams_and_extended_attributes_travel_with_files_and_folders",),
    ("extendedAttributes", "Ignore"): ("test_ignored_streams_and_extended_attributes_of_the_destination_stay",),
    ("hardLinks", "Copy"): ("test_each_name_of_a_file_becomes_a_file_of_its_own_and_is_told",),
    ("hardLinks", "Preserve"): (
        "test_preserved_names_are_names_of_one_copy",
        "test_a_changed_file_keeps_its_names_together",
    ),
    ("symlinks", "Skip"): ("test_a_reparse_point_is_skipped_or_fails_and_is_never_followed",),
    ("symlinks", "Fail"): ("test_a_reparse_point_is_skipped_or_fails_and_is_never_followed",),
    ("systemFolders", "Skip"): ("test_a_servers_own_folders_are_left_out_unless_told_otherwise",),
    ("systemFolders", "Copy"): ("test_a_servers_own_folders_are_left_out_unless_told_otherwise",),
    ("serverSideCopy", "Auto"): ("test_a_server_copies_large_files_by_itself_unless_told_not_to",),
    ("serverSideCopy", "Never"): ("test_a_server_copies_large_files_by_itself_unless_told_not_to",),
    ("durability", "Buffered"): ("test_a_small_file_is_flushed_where_that_is_asked_for",),
    ("durability", "Flushed"): ("test_a_small_file_is_flushed_where_that_is_asked_for",),
}

OTHERS: dict[str, tuple[str, ...]] = {
    "modifyWindow": ("test_a_destination_that_rounds_times_gets_nothing_twice_within_the_window",),
    "sidMap": ("test_entries_of_an_old_domain_are_those_of_the_new_one_in_the_copy_and_in_comparisons",),
    "maxDeletes": ("test_at_most_so_many_are_deleted_or_none",),
    "retryLocked": (
        "test_a_file_that_another_program_lets_go_of_in_time_is_copied_at_the_end",
        "test_a_file_that_another_program_never_lets_go_of_fails_after_the_last_attempt",
    ),
    "politeness": ("test_a_run_that_gives_way_copies_everything_and_has_measured_its_server",),
    "bytesPerSecond": ("test_a_limit_is_kept_and_a_changed_one_is_in_effect_at_once",),
    "include": ("test_filters_choose_what_is_copied_and_what_is_deleted",),
    "exclude": (
        "test_filters_choose_what_is_copied_and_what_is_deleted",
        "test_an_excluded_folder_is_not_even_listed",
    ),
    "minSize": ("test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others",),
    "maxSize": ("test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others",),
    "minAge": ("test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others",),
    "maxAge": ("test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others",),
    "excludeAttributes": ("test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others",),
    "dryRun": ("test_a_dry_run_tells_the_runs_own_counts_and_changes_nothing",),
}

BESIDE: dict[str, tuple[str, ...]] = {
    "empty files and folders": ("test_a_tree_of_odd_names_and_sizes_arrives_whole_with_its_times",),
    "sparse zeros": (
        "test_a_sparse_file_larger_than_4_gib_is_copied_without_its_zeros",
        "test_holes_take_no_room_at_the_destination_and_read_as_zeros",
    ),
    "memory": ("test_a_tree_five_times_as_large_takes_hardly_more_memory",),
    "counters": ("test_every_counter_is_what_the_trees_say",),
}
