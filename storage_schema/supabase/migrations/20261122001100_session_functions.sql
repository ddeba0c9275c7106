-- Sessions: starting, editing, listing. They come after documents, because a new session takes in
-- the documents that are below its root already.

create view public.session_details with (security_invoker = true) as
  select s.id, s.project_id as project, s.slug::text, s.title, s.type, s.status, s.parent_id as parent, s.root,
         s.created_at, s.updated_at, coalesce(to_jsonb(p), jsonb_build_object('id', s.created_by)) as created_by
  from public.sessions s left join public.people p on p.id = s.created_by;
comment on view public.session_details is 'Sessions as answers show them.';
revoke all on public.session_details from anon, authenticated, service_role;
grant select on public.session_details to authenticated;

create function private.adopt_documents(project uuid, root text)
returns void
language sql security definer
set search_path = ''
as $$
  -- A session may lie inside another one: what is below the inner root stays with it.
  update public.documents d
  set session_id = s.id, stage = private.stage_of(d.path, s.root)
  from public.sessions s
  where d.project_id = project and d.path > adopt_documents.root || '/' and d.path < adopt_documents.root || '0'
    and s.project_id = project and s.root = adopt_documents.root
    and (not exists (
        select from public.sessions i
        where i.project_id = project and i.root > adopt_documents.root || '/' and i.root < adopt_documents.root || '0')
      or s.id = private.session_of(project, d.path))
$$;
comment on function private.adopt_documents is 'Gives the documents below a root to their session.';

create function private.session_id(project uuid, ref text)
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  found_id uuid;
begin
  select s.id into found_id from public.sessions s
  where s.project_id = project and (s.id = private.uuid_or_null(ref) or s.slug = ref);
  if found_id is null then
    perform private.fail(404, 'session_not_found', 'There is no such session in this project.');
  end if;
  return found_id;
end
$$;
comment on function private.session_id is 'A session of a project by id or slug; 404 when there is none.';
grant execute on function private.session_id to authenticated;

create function private.create_session(
  project uuid, slug text, title text, type public.session_type, parent text, root text, status public.session_status)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  made uuid;
  why text := private.path_problem(root);
begin
  perform private.lock_project(project, 'editor');
  if why is not null then
    perform private.fail(422, 'bad_path', why, jsonb_build_object('path', root));
  end if;
  perform private.require_inside(project, root);
  if (type = 'feature') <> (parent is not null) then
    perform private.fail(422, 'parent_rule', 'A feature session has a blueprint session as its parent; other types have none.');
  end if;
  begin
    insert into public.sessions (project_id, slug, title, type, status, parent_id, root, created_by)
    values (project, create_session.slug, create_session.title, create_session.type, create_session.status,
            case when parent is not null then private.session_id(project, parent) end, create_session.root, auth.uid())
    returning id into made;
  exception when unique_violation then
    perform private.fail(409, 'session_exists', 'The project has a session of that slug or root already.');
  end;
  perform private.adopt_documents(project, root);
  perform private.add_event(project, 'session.added', jsonb_build_object('session', made, 'slug', slug, 'type', type));
  return made;
end
$$;
comment on function private.create_session is 'Starts a session; editors.';
grant execute on function private.create_session to authenticated;

create function public.read_session(project text, session text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  found_id uuid := private.session_id(target, session);
begin
  return (select to_jsonb(s) || jsonb_build_object('documents', (
      select coalesce(jsonb_agg(to_jsonb(d) order by d.path), '[]')
      from (select d.id, d.path, d.stage, d.head, d.head_number from public.documents d
            where d.project_id = target and d.session_id = s.id and d.live order by d.path limit 1000) d))
    from public.session_details s where s.id = found_id);
end
$$;
comment on function public.read_session is 'A session with its live documents.';
revoke execute on function public.read_session from public, anon, service_role;
grant execute on function public.read_session to authenticated;

create function public.create_session(
  project text, slug text, title text default null, type public.session_type default 'exploratory',
  parent text default null, root text default null, status public.session_status default 'draft')
returns jsonb
language plpgsql
set search_path = ''
-- It takes in what is below its root already, and counts it anew: a folder of 10,000 documents takes some seconds.
set statement_timeout = '30s'
as $$
declare
  target uuid := private.project_id(project);
  made uuid := private.create_session(
    target, slug, coalesce(title, slug), type, parent, coalesce(root, 'sessions/' || slug), status);
begin
  return public.read_session(target::text, made::text);
end
$$;
comment on function public.create_session is 'Starts a session; its root is sessions/<slug> unless said.';
revoke execute on function public.create_session from public, anon, service_role;
grant execute on function public.create_session to authenticated;

create function private.update_session(project uuid, session uuid, title text, status public.session_status)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  before public.session_status;
begin
  perform private.lock_project(project, 'editor');
  perform private.require_inside(project, s.root) from public.sessions s where s.id = session and s.project_id = project;
  select s.status into before from public.sessions s where s.id = session and s.project_id = project;
  update public.sessions s set
    title = coalesce(update_session.title, s.title), status = coalesce(update_session.status, s.status), updated_at = now()
  where s.id = session and s.project_id = project;
  perform private.add_event(project, 'session.edited', jsonb_build_object('session', session, 'status', coalesce(status, before), 'before', before));
end
$$;
comment on function private.update_session is 'Retitles a session or moves it on; editors.';
grant execute on function private.update_session to authenticated;

create function public.update_session(project text, session text, title text default null, status public.session_status default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  home uuid := private.project_id(project);
  target uuid := private.session_id(home, session);
begin
  perform private.update_session(home, target, title, status);
  return public.read_session(home::text, target::text);
end
$$;
comment on function public.update_session is 'Retitles a session or moves it on; null leaves a field as it is.';
revoke execute on function public.update_session from public, anon, service_role;
grant execute on function public.update_session to authenticated;

create function public.list_sessions(project text, status public.session_status default null, after text default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (select coalesce(jsonb_agg(to_jsonb(s) order by s.slug), '[]') from (
    select * from public.session_details s
    where s.project = target and (list_sessions.status is null or s.status = list_sessions.status)
      and (after is null or s.slug > after)
    order by s.slug limit private.page_rows(page_size)) s);
end
$$;
comment on function public.list_sessions is 'A project''s sessions by slug; after is the last slug seen.';
revoke execute on function public.list_sessions from public, anon, service_role;
grant execute on function public.list_sessions to authenticated;

revoke execute on all functions in schema private from public;
