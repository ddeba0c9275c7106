"""The one place that joins real things: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from app.api import (
    agents,
    analytics,
    analytics_lists,
    audit,
    auth,
    auth_email,
    auth_sessions,
    blame,
    changes,
    documents,
    erasures,
    events,
    files,
    git,
    history,
    imports,
    invitations,
    memento,
    mirroring,
    operations,
    patches,
    people,
    pipelines,
    presence,
    problems,
    projects,
    reviews,
    rows,
    search,
    sessions,
    signing_in,
    tags,
    webhooks,
)
from app.api.cookies import is_secure
from app.api.described_service import OPENAPI
from app.api.limiting import Limiter
from app.api.logs import configure_logs
from app.api.observing import Metrics, Observer
from app.api.services import Services, ask_who_first, provide_actor, provide_services
from app.api.stopping import when_told_to_stop
from app.errors import VersoError
from app.flows.attribute import Memory
from app.flows.bridge import Bridge
from app.flows.diff_cache import DiffCache
from app.flows.follow_events import Hub
from app.flows.forget import Forgetter
from app.flows.git_cache import GitCache
from app.flows.git_fetch import GitServer
from app.flows.git_sync import GitSync
from app.flows.keep_trail import Trail
from app.flows.upkeep import Upkeep
from app.settings import Settings
from app.supabase.accounts import Accounts
from app.supabase.agents import Agents
from app.supabase.analytics import Rollups
from app.supabase.audit import Audit
from app.supabase.auth import Auth
from app.supabase.blobs import Blobs
from app.supabase.cache import BlobCache
from app.supabase.erasures import Erasures
from app.supabase.feed import Feed
from app.supabase.glances import Glances
from app.supabase.identity import Identity
from app.supabase.imports import Imports
from app.supabase.insights import Insights
from app.supabase.invitations import Invitations
from app.supabase.ledger import Ledger
from app.supabase.live import Live
from app.supabase.mirroring import Mirroring
from app.supabase.old_tokens import OldTokens, terms_of
from app.supabase.pipelines import Pipelines
from app.supabase.pool import Pool
from app.supabase.reviews import Reviews
from app.supabase.spool import clear_old
from app.supabase.webhooks import Webhooks
from app.text.bounded import TextWorkers
from app.text.errors import WorkersBusyError
from app.web import faults
from app.web.rendering import Pages
from app.web.router import page_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HANDLERS = [
    projects.read_me,
    people.update_me,
    projects.list_projects,
    projects.create_project,
    projects.read_project,
    projects.update_project,
    projects.list_members,
    projects.set_member,
    projects.set_folders,
    projects.remove_member,
    invitations.list_invitations,
    invitations.create_invitation,
    invitations.revoke_invitation,
    invitations.list_my_invitations,
    invitations.accept_invitation,
    invitations.decline_invitation,
    agents.list_agents,
    agents.create_agent,
    agents.rotate_agent,
    agents.revoke_agent,
    audit.list_audit,
    audit.list_my_audit,
    projects.list_tree,
    analytics.read_analytics,
    analytics.read_all_analytics,
    analytics_lists.list_contested,
    analytics_lists.list_all_contested,
    analytics_lists.list_stale,
    analytics_lists.list_all_stale,
    analytics_lists.read_gauges,
    sessions.list_sessions,
    sessions.create_session,
    sessions.read_session,
    sessions.update_session,
    pipelines.read_stages,
    pipelines.list_stage_reports,
    pipelines.report_stage,
    pipelines.read_stage_report,
    pipelines.list_pipelines,
    pipelines.list_all_pipelines,
    files.read_file,
    files.put_file,
    files.delete_file,
    changes.post_change,
    changes.list_changes,
    changes.read_change,
    history.compare_trees,
    history.compare_change,
    history.compare_files,
    history.archive_project,
    history.restore_project,
    events.list_events,
    presence.list_presence,
    presence.set_presence,
    mirroring.read_history,
    mirroring.list_held,
    mirroring.read_many_contents,
    mirroring.read_held_content,
    git.list_refs,
    git.fetch_objects,
    git.refuse_push,
    rows.list_rows,
    documents.read_document,
    documents.edit_document,
    documents.delete_document,
    patches.preview_merge,
    documents.restore_document,
    documents.undelete_document,
    documents.list_versions,
    documents.read_version,
    documents.read_version_content,
    documents.compare_versions,
    documents.bisect_document,
    memento.read_timemap,
    blame.blame_document,
    search.search_project,
    search.find_text,
    imports.read_import,
    imports.list_imports,
    imports.import_changes,
    tags.list_tags,
    tags.create_tag,
    webhooks.list_webhooks,
    webhooks.create_webhook,
    webhooks.update_webhook,
    webhooks.remove_webhook,
    webhooks.rotate_webhook,
    webhooks.replay_webhook,
    webhooks.list_deliveries,
    erasures.list_erasures,
    erasures.preview_erasure,
    erasures.create_erasure,
    reviews.list_reviews,
    reviews.create_review,
    reviews.list_comments,
    reviews.create_comment,
    reviews.read_comment,
    reviews.create_reply,
    reviews.resolve_comment,
    reviews.reopen_comment,
    reviews.retract_comment,
    reviews.list_document_comments,
    reviews.read_rules,
    reviews.set_rules,
    signing_in.read_sign_in,
    auth.begin_sign_in,
    auth.finish_sign_in,
    auth_email.sign_in_by_password,
    auth_email.send_sign_in_link,
    auth_sessions.read_page_session,
    auth_sessions.refresh_page_session,
    auth_sessions.sign_out,
    operations.live,
    operations.ready,
    operations.metrics,
    problems.read_problem,
]


@asynccontextmanager
async def joined(settings: Settings, metrics: Metrics) -> AsyncIterator[Services]:
    """What handlers work with. Closed in the opposite order, each of it whatever becomes of the others."""
    async with AsyncExitStack() as opened:
        repositories = GitCache(settings.git_dir, limit=settings.git_size)
        opened.callback(repositories.close)
        cache = BlobCache(settings.cache_dir, limit=settings.cache_size)
        opened.callback(cache.close)
        await asyncio.to_thread(clear_old, settings.spool_dir, longest_use=settings.import_seconds)
        pool = Pool(settings, observe=metrics.count_round_trip)
        opened.push_async_callback(pool.close)
        workers = TextWorkers(deadline_s=settings.diff_seconds, wait_s=settings.diff_wait_seconds)
        opened.push_async_callback(workers.close)
        blobs = Blobs(pool, cache)
        insights = Insights(pool)
        memory = Memory()
        upkeep = Upkeep(insights, blobs, workers, memory)
        opened.push_async_callback(upkeep.close)
        ledger, mirroring = Ledger(pool), Mirroring(pool)
        audited = Audit(pool)
        trail = Trail(audited)
        opened.push_async_callback(trail.close)
        identity, terms = Identity(pool, settings), terms_of(settings)
        accounts = Accounts(pool.http, pool.url, settings.supabase_secret_key)
        erasing = Erasures(pool)
        sync = GitSync(repositories, ledger, mirroring, erasing, blobs, ahead=settings.upload_concurrency)
        diffs = DiffCache(limit=settings.diff_cache_size)
        forgetter = Forgetter(blobs, diffs, memory, repositories)
        feed, live = Feed(pool), Live(settings.supabase_url, settings.supabase_publishable_key)
        opened.push_async_callback(live.close)
        hub = Hub(
            feed,
            live,
            heartbeat=settings.event_heartbeat,
            most_per_account=settings.event_streams_per_account,
            recheck=settings.event_recheck,
            most=settings.event_streams,
        )
        opened.push_async_callback(hub.close)
        metrics.watch_streams(lambda: hub.count)
        services = Services(
            settings=settings,
            ledger=ledger,
            mirroring=mirroring,
            glances=Glances(pool),
            reviews=Reviews(pool),
            pipelines=Pipelines(pool),
            imports=Imports(pool),
            invitations=Invitations(pool),
            agents=Agents(pool),
            rollups=Rollups(pool),
            accounts=accounts,
            bridge=None if terms is None else Bridge(OldTokens(terms), accounts, identity),
            audit=audited,
            webhooks=Webhooks(pool),
            trail=trail,
            blobs=blobs,
            identity=identity,
            auth=Auth(pool, settings),
            workers=workers,
            diffs=diffs,
            erasures=erasing,
            forgetter=forgetter,
            insights=insights,
            memory=memory,
            upkeep=upkeep,
            git=GitServer(sync, processes=settings.git_processes, patience=settings.body_timeout),
            feed=feed,
            hub=hub,
        )
        forgetting = asyncio.create_task(forgetter.keep_forgetting())
        opened.callback(forgetting.cancel)
        with when_told_to_stop(hub.stop):
            yield services


def create_app(settings: Settings | None = None) -> Observer:
    """The service on the given settings, or on those of the environment. Raises SettingsError."""
    settings = settings or Settings.from_environment()
    configure_logs(settings)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with joined(settings, metrics) as services:
            app.state.services = services
            yield

    litestar = Litestar(
        [*HANDLERS, page_router(settings)],
        lifespan=[lifespan],
        state=State({"metrics": metrics, "pages": Pages()}),
        before_request=ask_who_first,
        dependencies={"services": Provide(provide_services, use_cache=True), "actor": Provide(provide_actor)},
        exception_handlers={
            VersoError: problems.on_verso_error,
            WorkersBusyError: problems.on_busy,
            HTTPException: faults.on_no_route,
            Exception: problems.on_fault,
        },
        openapi_config=OPENAPI,
        # Handlers that take documents set this aside and keep limits of their own.
        request_max_body_size=settings.max_plain_json_size,
        logging_config=None,
    )
    https = is_secure(settings)
    return Observer(Limiter(litestar, settings), metrics, https=https)
