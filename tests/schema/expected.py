"""What the catalog may hold, migration by migration. What isn't listed here was not meant to be exposed.

A new migration adds a part of its own: that is where its author says what callers get to see and call.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.stack import MIGRATIONS


@dataclass(frozen=True)
class Part:
    """What migrations add. `history` are the tables whose rows never change."""

    history: set[str] = field(default_factory=set)
    other_tables: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    exposed: set[str] = field(default_factory=set)
    """Functions in `public` for signed-in callers."""
    on_behalf: set[str] = field(default_factory=set)
    """Functions in `private` that policies and exposed functions call with a signed-in caller's rights."""
    for_operators: set[str] = field(default_factory=set)
    """Functions in `public` for the secret key, and for nobody else."""
    on_operators_behalf: set[str] = field(default_factory=set)
    """Functions in `private` that those call."""
    guarded: set[str] = field(default_factory=set)
    """Views in `private` that policies and exposed views read: of the caller's projects only."""


PARTS = {
    "versions": Part(
        history={"changes", "events", "tags", "tree_entries", "versions"},
        other_tables={"acquaintances", "blobs", "documents", "members", "profiles", "projects", "sessions"},
        views={
            "change_details",
            "document_details",
            "member_details",
            "people",
            "project_details",
            "session_details",
            "tag_details",
            "version_details",
        },
        exposed={
            "commit_change",
            "compare_versions",
            "create_project",
            "create_session",
            "create_tag",
            "list_changes",
            "list_members",
            "list_projects",
            "list_sessions",
            "list_tags",
            "list_tree",
            "list_versions",
            "me",
            "prepare_change",
            "read_change",
            "read_document",
            "read_file",
            "read_project",
            "read_session",
            "read_version",
            "remove_member",
            "set_folders",
            "set_member",
            "update_project",
            "update_session",
            "version_answer",
        },
        on_behalf={
            "caller",
            "change_answer",
            "change_at",
            "change_project",
            "change_rows",
            "commit_change",
            "create_project",
            "create_session",
            "create_tag",
            "fail",
            "knows",
            "moment_or_null",
            "my_open_projects",
            "my_projects",
            "page_rows",
            "prepare_change",
            "project_id",
            "remove_member",
            "require_role",
            "session_id",
            "set_folders",
            "set_member",
            "tree_page",
            "update_project",
            "update_session",
            "uuid_or_null",
            "version_answer",
            "version_at",
            "version_rows",
        },
        guarded={"my_memberships"},
    ),
    "points_in_time": Part(
        exposed={
            "compare_files",
            "compare_trees",
            "list_contents",
            "plan_restore",
            "read_document_at",
            "read_versions",
        },
        on_behalf={"file_answer", "tree_pairs"},
    ),
    "attributions": Part(
        history={"attributions", "settled_attributions"},
        exposed={"list_attributions", "list_origins", "read_blame", "store_attributions"},
        on_behalf={
            "diffstat",
            "diffstats",
            "lines_in",
            "lines_of",
            "runs_in",
            "store_attributions",
        },
    ),
    "search": Part(
        other_tables={"head_texts", "texts"},
        exposed={
            "list_copies",
            "list_occurrences",
            "list_unsearched",
            "search",
            "snippets",
            "store_texts",
        },
        on_behalf={"has_text", "search_versions", "store_texts", "unsearched"},
    ),
    "reviews": Part(
        history={"comment_acts", "comment_texts", "comments", "reviews"},
        views={"comment_details", "review_details"},
        exposed={
            "act_on_comment",
            "create_comment",
            "create_review",
            "list_comments",
            "list_document_comments",
            "list_reviews",
            "read_comment",
            "read_rules",
            "reply",
            "set_rules",
        },
        on_behalf={
            "act_on_comment",
            "comment_page",
            "comment_project",
            "create_comment",
            "create_review",
            "reply",
            "review_state",
            "set_rules",
            "standing_reviews",
            "version_project",
        },
    ),
    "pages": Part(
        exposed={
            "list_summaries",
            "read_history_page",
            "read_diff_page",
            "read_overview_page",
            "read_document_page",
        },
        on_behalf={"verdicts_on"},
    ),
    "mirroring": Part(exposed={"list_held", "list_history", "locate_contents"}),
    "feed": Part(
        views={"touched_paths"},
        exposed={"list_events", "read_event_reach"},
        on_behalf={"event_change", "folders_of", "place_of", "session_of", "stage_of", "versions_of"},
    ),
    "presence": Part(
        other_tables={"presence"},
        views={"presence_details"},
        exposed={"list_presence", "set_presence"},
        on_behalf={"set_presence"},
    ),
    "origins": Part(
        exposed={"import_changes", "list_imports", "prepare_import", "read_import"},
        on_behalf={"import_changes", "prepare_import"},
    ),
    "bundles": Part(
        exposed={"list_rows"},
        for_operators={"begin_restore", "restore_bundle", "stage_restore"},
        on_operators_behalf={"begin_restore", "restore_project", "stage_restore"},
    ),
    "agents": Part(
        other_tables={"agents"},
        views={"agent_details"},
        exposed={
            "find_agent",
            "list_agents",
            "may_read_sessions",
            "prepare_agent",
            "register_agent",
            "revoke_agent",
            "take_agent",
        },
        on_behalf={
            "find_agent",
            "prepare_agent",
            "register_agent",
            "revoke_agent",
            "take_agent",
            "this_agent_rests",
        },
    ),
    "audit": Part(
        exposed={"list_audit", "list_my_audit", "record_audit"},
        on_behalf={"list_audit", "list_my_audit", "record_audit"},
        for_operators={"expire_audit", "read_audit"},
        on_operators_behalf={"expire_audit", "read_audit"},
    ),
    "erasing": Part(
        history={"erasures", "finished_erasures"},
        views={"erasure_details"},
        exposed={
            "count_erasures",
            "erase_content",
            "finish_erasure",
            "list_erasures",
            "preview_erasure",
        },
        on_behalf={
            "erase_content",
            "erased_versions",
            "finish_erasure",
            "is_erased_object",
            "left_of_erasure",
            "may_delete_object",
        },
    ),
    "webhooks": Part(
        exposed={
            "create_webhook",
            "list_deliveries",
            "list_webhooks",
            "remove_webhook",
            "replay_webhook",
            "rotate_webhook",
            "update_webhook",
        },
        on_behalf={
            "create_webhook",
            "list_deliveries",
            "list_webhooks",
            "remove_webhook",
            "replay_webhook",
            "rotate_webhook",
            "update_webhook",
        },
        for_operators={"claim_deliveries", "finish_delivery", "release_deliveries", "webhook_figures"},
        on_operators_behalf={"claim_deliveries", "finish_delivery", "release_deliveries", "webhook_figures"},
    ),
    "profiles_kept_current": Part(exposed={"update_me"}, on_behalf={"update_me"}),
    "pipelines": Part(
        history={"stage_event_versions", "stage_events"},
        other_tables={"stages"},
        views={"stage_report_details"},
        exposed={
            "list_all_pipelines",
            "list_pipelines",
            "list_stage_reports",
            "read_stage_report",
            "read_stages",
            "report_stage",
        },
        on_behalf={
            "all_pipelines_page",
            "pipeline_answer",
            "report_stage",
            "stage_report_page",
            "states_after",
            "states_from",
        },
    ),
    "analytics": Part(
        other_tables={"analytics_contested", "analytics_counts", "analytics_times"},
        exposed={
            "list_contested",
            "list_stale",
            "read_all_analytics",
            "read_analytics",
            "read_gauges",
        },
        on_behalf={
            "asked_projects",
            "bucket_seconds",
            "counts_of",
            "oldest_documents",
            "read_rollups",
            "spans",
            "times_of",
            "units_of",
            "writer",
        },
    ),
    "invitations": Part(
        other_tables={"invitations"},
        views={"invitation_details"},
        exposed={
            "accept_invitation",
            "create_invitation",
            "decline_invitation",
            "list_invitations",
            "list_my_invitations",
            "revoke_invitation",
        },
        on_behalf={
            "accept_invitation",
            "create_invitation",
            "decline_invitation",
            "my_invitation_answers",
            "my_invitations",
            "revoke_invitation",
        },
    ),
}
_HERE = [part for name, part in PARTS.items() if list(MIGRATIONS.glob(f"*_{name}.sql"))]

HISTORY = {name for part in _HERE for name in part.history}
TABLES = HISTORY | {name for part in _HERE for name in part.other_tables}
VIEWS = {name for part in _HERE for name in part.views}
EXPOSED = {name for part in _HERE for name in part.exposed}
ON_BEHALF = {name for part in _HERE for name in part.on_behalf}
FOR_OPERATORS = {name for part in _HERE for name in part.for_operators}
ON_OPERATORS_BEHALF = {name for part in _HERE for name in part.on_operators_behalf}
GUARDED = {name for part in _HERE for name in part.guarded}
