-- Projects and their members: who may see and do what. Every other policy asks the functions here.

create table public.projects (
  id uuid primary key default gen_random_uuid(),
  slug public.slug not null,
  name text not null
    constraint projects_name_length check (char_length(name) between 1 and 200)
    constraint projects_name_control check (name !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  description text not null default ''
    constraint projects_description_length check (char_length(description) <= 4000),
  created_by uuid not null references public.profiles,
  created_at timestamptz not null default now(),
  archived_at timestamptz,
  change_sequence bigint not null default 0,
  change_hash public.sha256_hex,
  event_sequence bigint not null default 0,
  -- Unique to its maker, not to the world: otherwise a stranger could learn which names exist, or squat on them.
  constraint projects_slug_key unique (created_by, slug)
) with (fillfactor = 50);  -- every change updates this row's counters: leave room for HOT updates
alter table public.projects enable row level security;

comment on table public.projects is 'What members belong to; owns documents, sessions and changes.';
comment on column public.projects.id is 'Stable id, used in URLs and object names.';
comment on column public.projects.slug is 'Short name for URLs, unique to its maker.';
comment on column public.projects.name is 'The name people read.';
comment on column public.projects.description is 'Free text.';
comment on column public.projects.created_by is 'Who made it.';
comment on column public.projects.created_at is 'When it was made.';
comment on column public.projects.archived_at is 'Since when it takes no writes, or null.';
comment on column public.projects.change_sequence is 'Number of its newest change. Locking this row orders the changes.';
comment on column public.projects.change_hash is 'Hash of its newest change: certifies the whole history.';
comment on column public.projects.event_sequence is 'Number of its newest event.';

create table public.members (
  user_id uuid not null references public.profiles,
  project_id uuid not null references public.projects,
  role public.member_role not null,
  added_by uuid not null references public.profiles,
  created_at timestamptz not null default now(),
  folders text[] collate "C"
    constraint members_folders_count check (cardinality(folders) between 1 and 100)
    constraint members_folders_of_editors check (folders is null or role = 'editor'),
  primary key (user_id, project_id)
);
create index members_project_id_idx on public.members (project_id, user_id);
create index members_added_by_idx on public.members (added_by);
alter table public.members enable row level security;

comment on table public.members is 'Who belongs to a project, and as what.';
comment on column public.members.user_id is 'The person.';
comment on column public.members.project_id is 'The project.';
comment on column public.members.role is 'What they may do.';
comment on column public.members.added_by is 'Who added them.';
comment on column public.members.created_at is 'Since when; the oldest membership decides what a slug means to a person.';
comment on column public.members.folders is 'An editor''s folders: what lies elsewhere they read and review, and don''t write. Null for everything.';

-- A former member's name must stay readable in history.
create table public.acquaintances (
  user_id uuid not null references public.profiles,
  project_id uuid not null references public.projects,
  primary key (user_id, project_id)
);
create index acquaintances_project_id_idx on public.acquaintances (project_id);
alter table public.acquaintances enable row level security;
comment on table public.acquaintances is 'Who has ever been a member of a project: whose names its members may read.';
comment on column public.acquaintances.user_id is 'The person.';
comment on column public.acquaintances.project_id is 'The project.';

create function private.remember_member()
returns trigger language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.acquaintances (user_id, project_id) values (new.user_id, new.project_id) on conflict do nothing;
  return null;
end
$$;
comment on function private.remember_member is 'Notes that someone has been a member.';
create trigger remember_member after insert on public.members
  for each row execute function private.remember_member();

-- A token outlives its account by up to an hour; the account's rights end with it. Migration 2100 adds what agents need.
create view private.my_account with (security_barrier) as
  select p.id from public.profiles p where p.id = (select auth.uid()) and p.account_deleted_at is null;
comment on view private.my_account is 'The caller''s account; none when it is deleted, or has no profile yet.';

create function private.caller()
returns uuid
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return (select a.id from private.my_account a);
end
$$;
comment on function private.caller is 'The id of my_account, or null.';
grant execute on function private.caller to authenticated;

-- What policies ask, once a query: `(project_id = any (array(select m.project_id from private.my_memberships m))) is true`.
-- The view reads with its owner's rights, because the tables it reads have policies that ask it, and tells the caller
-- of nobody else. It is planned into the query: a function would be called and, before PostgreSQL 18, planned anew for each table of it.
-- As an array it is one look at an index and a comparison a row; hashing the set costs more than most queries. `is true`
-- keeps it a filter: as a condition of an index it would be sorted and merged again at every step of a join.
create view private.my_memberships with (security_barrier) as
  select m.project_id, m.role, m.created_at, m.folders from public.members m
  where m.user_id = (select a.id from private.my_account a);
comment on view private.my_memberships is 'The caller''s own memberships.';
revoke all on private.my_account, private.my_memberships from public, anon, authenticated, service_role;
grant select on private.my_memberships to authenticated;

-- The questions of other places. They run as their owner, too; each answers only about the caller.
create function private.my_projects(at_least public.member_role default 'reader')
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
  select m.project_id from private.my_memberships m where m.role >= at_least
$$;
comment on function private.my_projects is 'The projects in which the caller has at least the given role.';
grant execute on function private.my_projects to authenticated;

create function private.my_open_projects(at_least public.member_role)
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
  select m.project_id from private.my_memberships m join public.projects p on p.id = m.project_id
  where m.role >= at_least and p.archived_at is null
$$;
comment on function private.my_open_projects is 'As my_projects, without the archived ones.';
grant execute on function private.my_open_projects to authenticated;

create function private.knows(person uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select person = (select auth.uid()) or exists (
    select from private.my_memberships m join public.acquaintances a on a.project_id = m.project_id
    where a.user_id = person)
$$;
comment on function private.knows is 'Whether the caller may read this person''s profile: their own, or that of someone who has been in one of their projects.';
grant execute on function private.knows to authenticated;

create policy "people read the profiles of those they work with" on public.profiles
  for select to authenticated using (private.knows(id));
-- A look at an index a row: projects are read one by one, or all of the caller's. With an array, who is in 3,000
-- compared each of them with all others, twice: their list took 0.1 s.
create policy "members read their projects" on public.projects
  for select to authenticated using ((select true from private.my_memberships m where m.project_id = projects.id));
create policy "members read the members of their projects" on public.members
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read who has been in their projects" on public.acquaintances
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);

-- Rows are written by the functions below only: no role has INSERT, UPDATE or DELETE here.
revoke all on public.projects, public.members, public.acquaintances from anon, authenticated, service_role;
grant select on public.projects, public.members, public.acquaintances to authenticated, service_role;

-- A reference from a URL: an id, or a slug as the caller means it: a project of their own first,
-- then the one they joined first, so that being added to another one never changes what a name means.
create function private.project_id(ref text)
returns uuid
language plpgsql stable security definer
set search_path = ''
as $$
declare
  caller uuid := private.caller();
  found_id uuid;
begin
  if private.uuid_or_null(ref) is not null then
    select m.project_id into found_id
    from public.members m where m.user_id = caller and m.project_id = private.uuid_or_null(ref);
  else
    select p.id into found_id
    from public.members m join public.projects p on p.id = m.project_id
    where m.user_id = caller and p.slug = ref
    order by p.created_by = caller desc, m.created_at, p.id limit 1;
  end if;
  if found_id is null then
    perform private.fail(404, 'project_not_found',
      'There is no such project, or you are not a member of it. GET /v1/projects lists yours.');
  end if;
  return found_id;
end
$$;
comment on function private.project_id is 'The id of the caller''s project by id or slug; 404 when there is none that they may see.';
grant execute on function private.project_id to authenticated;

create function private.require_role(project uuid, needed public.member_role)
returns public.member_role
language plpgsql stable security definer
set search_path = ''
as $$
declare
  held public.member_role;
begin
  select m.role into held from public.members m where m.user_id = private.caller() and m.project_id = project;
  if held is null then
    perform private.fail(404, 'project_not_found',
      'There is no such project, or you are not a member of it. GET /v1/projects lists yours.');
  end if;
  if held < needed then
    perform private.fail(403, 'role_too_low',
      format('This needs the role %s in the project; you are %s. Ask an owner.', needed, held),
      jsonb_build_object('needed', needed, 'role', held));
  end if;
  return held;
end
$$;
comment on function private.require_role is 'The caller''s role in a project; 404 for non-members, 403 below the needed role.';
grant execute on function private.require_role to authenticated;

create function private.refuse_archived(archived_at timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if archived_at is not null then
    perform private.fail(403, 'project_archived', 'The project is archived and takes no writes. An owner can reopen it.');
  end if;
end
$$;
comment on function private.refuse_archived is 'Refuses a write to a project that has been archived since a time, if there is one.';

-- The one lock of a project. Everything that gives out a number holds it.
create function private.lock_project(project uuid, needed public.member_role, even_archived boolean default false)
returns public.projects
language plpgsql security definer
set search_path = ''
as $$
declare
  locked public.projects;
begin
  perform private.require_role(project, needed);
  select * into locked from public.projects where id = project for no key update;
  -- Again under the lock: a role taken away while this waited counts.
  perform private.require_role(project, needed);
  if not even_archived then
    perform private.refuse_archived(locked.archived_at);
  end if;
  return locked;
end
$$;
comment on function private.lock_project is 'Locks a project for a write and checks the caller''s role, before and after waiting.';

revoke execute on all functions in schema private from public;
