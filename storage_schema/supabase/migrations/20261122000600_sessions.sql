-- One run of the IDSE pipeline each. A session owns the documents below its root path.

create type public.session_type as enum ('blueprint', 'feature', 'exploratory');
comment on type public.session_type is 'What kind of pipeline run a session is.';
create type public.session_status as enum ('draft', 'in_progress', 'review', 'complete', 'archived');
comment on type public.session_status is 'Where a session stands.';

create table public.sessions (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects,
  slug public.slug not null,
  title text not null
    constraint sessions_title_length check (char_length(title) between 1 and 200)
    constraint sessions_title_control check (title !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  type public.session_type not null,
  status public.session_status not null default 'draft',
  parent_id uuid,
  root public.document_path not null,
  created_by uuid not null references public.profiles,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_id, id),
  constraint sessions_slug_key unique (project_id, slug),
  constraint sessions_root_key unique (project_id, root),
  constraint sessions_parent_fkey foreign key (project_id, parent_id) references public.sessions (project_id, id),
  constraint sessions_parent_rule check ((type = 'feature') = (parent_id is not null))
);
create index sessions_parent_idx on public.sessions (project_id, parent_id);
create index sessions_created_by_idx on public.sessions (created_by);
alter table public.sessions enable row level security;

comment on table public.sessions is 'One IDSE pipeline run in a project.';
comment on column public.sessions.id is 'Stable id.';
comment on column public.sessions.project_id is 'The project.';
comment on column public.sessions.slug is 'Short name, unique in the project.';
comment on column public.sessions.title is 'The name people read.';
comment on column public.sessions.type is 'blueprint, feature or exploratory.';
comment on column public.sessions.status is 'Where it stands.';
comment on column public.sessions.parent_id is 'A feature''s blueprint session; null for other types.';
comment on column public.sessions.root is 'Documents below this path belong to the session.';
comment on column public.sessions.created_by is 'Who started it.';
comment on column public.sessions.created_at is 'When it was started.';
comment on column public.sessions.updated_at is 'When its fields last changed.';

create policy "members read the sessions of their projects" on public.sessions
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.sessions from anon, authenticated, service_role;
grant select on public.sessions to authenticated, service_role;

create function private.check_session_parent()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if new.parent_id is not null and not exists (
    select from public.sessions s where s.id = new.parent_id and s.project_id = new.project_id and s.type = 'blueprint') then
    perform private.fail(422, 'parent_not_blueprint', 'A feature session''s parent is a blueprint session of the same project.');
  end if;
  if tg_op = 'UPDATE' and old.type = 'blueprint' and new.type <> 'blueprint'
    and exists (select from public.sessions s where s.parent_id = new.id and s.project_id = new.project_id) then
    perform private.fail(409, 'blueprint_has_features', 'Feature sessions name this blueprint as their parent: it stays a blueprint.');
  end if;
  return new;
end
$$;
comment on function private.check_session_parent is 'A feature''s parent is a blueprint, and stays one.';
create trigger check_session_parent before insert or update on public.sessions
  for each row execute function private.check_session_parent();

-- Every proper folder prefix of a path, so that its session is found by index.
create function private.folders_of(path text)
returns text[]
language sql immutable
set search_path = ''
as $$
  select coalesce(array_agg(array_to_string(parts[1:n], '/')), '{}')
  from (select string_to_array(path, '/') as parts) p, generate_series(1, array_length(parts, 1) - 1) n
$$;
comment on function private.folders_of is 'a/b/c → {a, a/b}.';

create function private.session_of(project uuid, path text)
returns uuid
language sql stable
set search_path = ''
as $$
  select s.id from public.sessions s
  where s.project_id = project and s.root = any (private.folders_of(path))
  order by octet_length(s.root) desc limit 1
$$;
comment on function private.session_of is 'The session that owns a path: the one with the longest root above it.';

create function private.stage_of(path text, root text)
returns public.stage
language sql immutable
set search_path = ''
as $$
  select case split_part(substr(path, length(root) + 2), '/', 1)
    when 'intents' then 'intent' when 'contexts' then 'context' when 'specs' then 'spec'
    when 'plans' then 'plan' when 'tasks' then 'tasks' when 'implementation' then 'implementation'
    when 'feedback' then 'feedback' end::public.stage
$$;
comment on function private.stage_of is 'The stage that a document below a session''s root belongs to, by its first folder.';

revoke execute on all functions in schema private from public;
