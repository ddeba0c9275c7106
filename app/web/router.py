"""The one list of the pages' routes. The API's document has none of them: they are nobody's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response, Router
from litestar.di import Provide

from app.api.cookies import is_secure
from app.web import (
    assets,
    audit,
    blaming,
    comparing,
    conflict,
    documents,
    editing,
    erasing,
    history,
    hooks,
    importing,
    importing_history,
    keeping,
    me,
    notices,
    overview,
    people,
    pipelines,
    preferences,
    projects,
    reviewing,
    searching,
    sessions,
    settings,
    tags,
    uploading,
)
from app.web.faults import HANDLERS
from app.web.visiting import provide_guest, provide_sender, provide_visitor

if TYPE_CHECKING:
    from app.settings import Settings

ROUTES = [
    projects.read_home,
    projects.read_new_project,
    projects.create_project,
    preferences.choose_theme,
    assets.read_asset,
    overview.read_overview,
    documents.read_document,
    history.list_changes,
    history.list_versions,
    searching.search_project,
    uploading.read_upload,
    uploading.upload_files,
    importing.read_import,
    importing.import_archive,
    importing_history.import_history,
    editing.read_create,
    editing.create_document,
    editing.read_edit,
    editing.edit_document,
    conflict.resolve_conflict,
    keeping.read_move,
    keeping.move_document,
    keeping.read_delete,
    keeping.delete_document,
    keeping.read_restore,
    keeping.restore_document,
    keeping.undelete_document,
    comparing.compare_versions,
    comparing.read_change,
    blaming.blame_document,
    pipelines.read_pipelines,
    pipelines.read_all_pipelines,
    pipelines.read_session,
    pipelines.report_stage,
    reviewing.create_comment,
    reviewing.create_reply,
    reviewing.act_on_comment,
    reviewing.create_review,
    people.read_people,
    people.invite_person,
    people.set_member,
    people.remove_member,
    people.revoke_invitation,
    people.create_agent,
    people.rotate_agent,
    people.revoke_agent,
    me.read_me,
    me.update_me,
    me.answer_invitation,
    audit.list_my_audit,
    audit.list_audit,
    tags.list_tags,
    tags.create_tag,
    settings.read_settings,
    settings.update_project,
    settings.set_rules,
    settings.archive_project,
    hooks.list_webhooks,
    hooks.create_webhook,
    hooks.list_deliveries,
    hooks.rotate_webhook,
    hooks.act_on_webhook,
    sessions.read_new_session,
    sessions.create_session,
    sessions.update_session,
    erasing.list_erasures,
    erasing.erase,
]
"""Who adds a page adds its handler here, and its line to tests/web/routes.txt."""


def page_router(settings: Settings) -> Router:
    """The pages, for `app.main`."""

    def secured(response: Response[Any]) -> Response[Any]:
        """Who leaves a notice needs no settings: whether people come by https is said here, once."""
        for cookie in response.cookies:
            if cookie.key == notices.COOKIE:
                cookie.secure = is_secure(settings)
        return response

    return Router(
        path="/",
        route_handlers=ROUTES,
        dependencies={
            "visitor": Provide(provide_visitor),
            "guest": Provide(provide_guest),
            "sender": Provide(provide_sender),
        },
        exception_handlers=HANDLERS,
        after_request=secured,
        request_max_body_size=settings.max_json_size,  # texts are typed into forms
        include_in_schema=False,
    )
