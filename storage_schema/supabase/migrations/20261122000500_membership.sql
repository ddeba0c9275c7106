-- Making, changing and archiving projects, and who belongs to them. Each exposed function runs with
-- the caller's rights and hands over to its twin in `private`, which checks them and writes.

create view public.people with (security_invoker = true) as
  select p.id, p.handle, p.display_name as name, p.avatar_url, p.github_login from public.profiles p;
comment on view public.people is 'Profiles as answers show them; row security is that of profiles.';
revoke all on public.people from anon, authenticated, service_role;
grant select on public.people to authenticated;

create view public.project_details with (security_invoker = true) as
  select p.id, p.slug::text, p.name, p.description, p.created_at, p.archived_at,
         p.change_sequence, p.change_hash::text, p.event_sequence, m.role,
         m.created_at as joined_at, m.folders
  from public.projects p
  join private.my_memberships m on m.project_id = p.id;
comment on view public.project_details is 'The caller''s projects, with their role.';
revoke all on public.project_details from anon, authenticated, service_role;
grant select on public.project_details to authenticated;

create view public.member_details with (security_invoker = true) as
  select m.project_id, m.user_id, m.role, m.created_at, to_jsonb(p) as person, m.folders
  from public.members m left join public.people p on p.id = m.user_id;
comment on view public.member_details is 'Members with their profiles.';
revoke all on public.member_details from anon, authenticated, service_role;
grant select on public.member_details to authenticated;

-- Who am I --------------------------------------------------------------------------------------

create function public.me()
returns jsonb
language sql stable
set search_path = ''
as $$
  select to_jsonb(p) || jsonb_build_object(
    'projects', coalesce((select jsonb_agg(jsonb_build_object('id', d.id, 'slug', d.slug, 'role', d.role) order by d.joined_at, d.id)
                 from (select * from public.project_details order by joined_at, id limit 100) d), '[]'))
  from public.people p where p.id = (select private.caller())
$$;
comment on function public.me is 'The caller''s profile and up to 100 of their projects; null before they have a profile.';
revoke execute on function public.me from public, anon, service_role;
grant execute on function public.me to authenticated;

-- Projects --------------------------------------------------------------------------------------

create function private.create_project(slug text, name text, description text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  caller uuid := auth.uid();
  made uuid;
begin
  if not exists (select from public.profiles p where p.id = caller and p.account_deleted_at is null) then
    perform private.fail(403, 'no_profile', 'This account has no profile, so it cannot own a project.');
  end if;
  begin
    insert into public.projects (slug, name, description, created_by)
    values (create_project.slug, create_project.name, create_project.description, caller)
    returning id into made;
  exception when unique_violation then
    perform private.fail(409, 'slug_taken', format('You already have a project %s. Choose another slug.', slug));
  end;
  insert into public.members (user_id, project_id, role, added_by) values (caller, made, 'owner', caller);
  perform private.add_event(made, 'project.added', jsonb_build_object('slug', slug));
  return made;
end
$$;
comment on function private.create_project is 'Makes a project with the caller as its owner.';
grant execute on function private.create_project to authenticated;

create function public.read_project(project text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  -- On its own, not as a condition: a plan that finds no row first would never ask, and answer null for 404.
  target uuid := private.project_id(project);
begin
  return (select to_jsonb(d) from public.project_details d where d.id = target);
end
$$;
comment on function public.read_project is 'One of the caller''s projects, by id or slug.';
revoke execute on function public.read_project from public, anon, service_role;
grant execute on function public.read_project to authenticated;

create function public.create_project(slug text, name text default null, description text default '')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  made uuid := private.create_project(slug, coalesce(name, slug), description);
begin
  return public.read_project(made::text);
end
$$;
comment on function public.create_project is 'Makes a project; the caller becomes its owner.';
revoke execute on function public.create_project from public, anon, service_role;
grant execute on function public.create_project to authenticated;

create function public.list_projects(after text default null, page_size integer default 50)
returns jsonb
language sql stable
set search_path = ''
as $$
  -- A blank sorts before everything that a slug may hold, so this is the order of (slug, id).
  select coalesce(jsonb_agg(to_jsonb(d) - 'place' order by d.place), '[]') from (
    select *, d.slug || ' ' || d.id as place from public.project_details d
    where after is null or d.slug || ' ' || d.id > after
    order by place limit private.page_rows(page_size)) d
$$;
comment on function public.list_projects is 'The caller''s projects by slug; after is "slug id" of the last one seen.';
revoke execute on function public.list_projects from public, anon, service_role;
grant execute on function public.list_projects to authenticated;

create function private.update_project(project uuid, name text, description text, archived boolean)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects := private.lock_project(project, 'owner', even_archived => true);
begin
  update public.projects p set
    name = coalesce(update_project.name, p.name),
    description = coalesce(update_project.description, p.description),
    archived_at = case when archived is null then p.archived_at
                       when archived then coalesce(p.archived_at, now()) end
  where p.id = project;
  if archived is not null and archived <> (held.archived_at is not null) then
    perform private.add_event(project, case when archived then 'project.archived' else 'project.reopened' end);
  end if;
  if coalesce(update_project.name, held.name) <> held.name
    or coalesce(update_project.description, held.description) <> held.description then
    perform private.add_event(project, 'project.edited');
  end if;
end
$$;
comment on function private.update_project is 'Renames, describes, archives or reopens a project; owners only.';
grant execute on function private.update_project to authenticated;

create function public.update_project(project text, name text default null, description text default null, archived boolean default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.update_project(target, name, description, archived);
  return public.read_project(target::text);
end
$$;
comment on function public.update_project is 'Renames, describes, archives or reopens a project; null leaves a field as it is.';
revoke execute on function public.update_project from public, anon, service_role;
grant execute on function public.update_project to authenticated;

-- Members ---------------------------------------------------------------------------------------

create function public.list_members(project text, after text default null, page_size integer default 50, agents boolean default true)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  seen_role public.member_role := (select r from unnest(enum_range(null::public.member_role)) r where r::text = split_part(after, ' ', 1));
  seen_at timestamptz := private.moment_or_null(split_part(after, ' ', 2));
  seen_id uuid := private.uuid_or_null(split_part(after, ' ', 3));
begin
  -- The page is cut first: whether one may know somebody is asked of each.
  return (select coalesce(jsonb_agg(jsonb_build_object('person', to_jsonb(p), 'role', d.role, 'created_at', d.created_at, 'folders', d.folders)
                                    order by d.role desc, d.created_at, d.user_id), '[]')
    from (
      select * from public.members m
      where m.project_id = target
        and (after is null or m.role < seen_role or m.role = seen_role and (m.created_at, m.user_id) > (seen_at, seen_id))
        and (agents or not exists (select from public.agents a where a.account_id = m.user_id))
      order by m.role desc, m.created_at, m.user_id limit private.page_rows(page_size)) d
    left join public.people p on p.id = d.user_id);
end
$$;
comment on function public.list_members is
  'A project''s members, owners first, with its agents or people only; after is "role created_at id" of the last one seen.';
revoke execute on function public.list_members from public, anon, service_role;
grant execute on function public.list_members to authenticated;

create function private.set_member(project uuid, person text, role public.member_role)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  target uuid;
  before public.member_role;
begin
  perform private.lock_project(project, 'owner');
  select p.id into target from public.profiles p
  where p.account_deleted_at is null and (p.handle = lower(person) or p.id = private.uuid_or_null(lower(person)));
  if target is null then
    perform private.fail(404, 'person_not_found',
      'Nobody has that handle. They sign in once, then you add them by the handle that GET /v1/me shows them.');
  end if;
  select m.role into before from public.members m where m.user_id = target and m.project_id = project;
  if before = set_member.role then
    return target;
  end if;
  if before = 'owner' then
    perform private.keep_an_owner(project, target);
  end if;
  insert into public.members (user_id, project_id, role, added_by)
  values (target, project, set_member.role, auth.uid())
  on conflict (user_id, project_id) do update set role = excluded.role, folders = null;
  perform private.add_event(project, case when before is null then 'member.added' else 'member.role_set' end,
    jsonb_build_object('person', target, 'role', set_member.role, 'before', before));
  return target;
end
$$;
comment on function private.set_member is 'Adds a member or changes their role; owners only.';
grant execute on function private.set_member to authenticated;

create function private.keep_an_owner(project uuid, leaving uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
begin
  -- An account that is deleted can't sign in: it keeps its place in history, but it doesn't keep a project.
  if not exists (
    select from public.members m join public.profiles p on p.id = m.user_id
    where m.project_id = project and m.role = 'owner' and m.user_id <> leaving and p.account_deleted_at is null) then
    perform private.fail(409, 'last_owner', 'A project keeps at least one owner. Make someone else an owner first.');
  end if;
end
$$;
comment on function private.keep_an_owner is 'Refuses to let the last owner go.';

create function public.set_member(project text, person text, role public.member_role)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  home uuid := private.project_id(project);
  target uuid := private.set_member(home, person, role);
begin
  return (select jsonb_build_object('person', d.person, 'role', d.role, 'created_at', d.created_at, 'folders', d.folders)
          from public.member_details d where d.project_id = home and d.user_id = target);
end
$$;
comment on function public.set_member is 'Adds a member by handle or id, or changes their role.';
revoke execute on function public.set_member from public, anon, service_role;
grant execute on function public.set_member to authenticated;

-- An editor may be one of some folders only. Membership and limit are written at once: nobody is an editor of
-- everything in between.
create function private.set_folders(project uuid, person text, folders text[])
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  target uuid;
  before public.members;
  wanted text[] := array(select distinct f from unnest(folders) f order by f);
  wrong text;
begin
  perform private.lock_project(project, 'owner');
  select p.id into target from public.profiles p
  where p.account_deleted_at is null and (p.handle = lower(person) or p.id = private.uuid_or_null(lower(person)));
  if target is null then
    perform private.fail(404, 'person_not_found',
      'Nobody has that handle. They sign in once, then you add them by the handle that GET /v1/me shows them.');
  end if;
  if folders is not null and cardinality(wanted) not between 1 and 100 then
    perform private.fail(422, 'bad_folders', 'Name 1 to 100 folders, or null for everything. Who writes nowhere is a reviewer.');
  end if;
  select f into wrong from unnest(wanted) f where f is null or private.path_problem(f) is not null limit 1;
  if found then
    perform private.fail(422, 'bad_path', coalesce(private.path_problem(wrong), 'A folder has a name.'), jsonb_build_object('path', wrong));
  end if;
  select * into before from public.members m where m.user_id = target and m.project_id = project;
  if before.role = 'editor' and before.folders is not distinct from (case when folders is not null then wanted end) then
    return target;
  end if;
  if before.role = 'owner' then
    perform private.keep_an_owner(project, target);
  end if;
  insert into public.members (user_id, project_id, role, added_by, folders)
  values (target, project, 'editor', auth.uid(), case when folders is not null then wanted end)
  on conflict (user_id, project_id) do update set role = excluded.role, folders = excluded.folders;
  perform private.add_event(project, case when before.role is null then 'member.added' else 'member.role_set' end,
    jsonb_build_object('person', target, 'role', 'editor', 'before', before.role, 'folders', case when folders is not null then wanted end));
  return target;
end
$$;
comment on function private.set_folders is 'Makes somebody an editor of some folders, or of everything; owners only.';
grant execute on function private.set_folders to authenticated;

create function public.set_folders(project text, person text, folders text[])
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  home uuid := private.project_id(project);
  target uuid := private.set_folders(home, person, folders);
begin
  return (select jsonb_build_object('person', d.person, 'role', d.role, 'created_at', d.created_at, 'folders', d.folders)
          from public.member_details d where d.project_id = home and d.user_id = target);
end
$$;
comment on function public.set_folders is 'Makes somebody, by handle or id, an editor of some folders only; null for everything.';
revoke execute on function public.set_folders from public, anon, service_role;
grant execute on function public.set_folders to authenticated;

-- A folder is a whole name: `docs` holds `docs/a.md` and not `docs-old/a.md`.
create function private.outside(project uuid, paths text[])
returns text[]
language plpgsql stable security definer
set search_path = ''
as $$
declare
  mine text[];
begin
  select m.folders into mine from public.members m where m.user_id = private.caller() and m.project_id = project;
  if mine is null then
    return '{}';
  end if;
  return array(
    select distinct p from unnest(paths) p
    where not exists (select from unnest(mine) f where p = f or starts_with(p, f || '/')) order by p);
end
$$;
comment on function private.outside is 'Which of these paths lie outside the caller''s folders; none for those who may write everywhere.';

create function private.require_everywhere(project uuid)
returns void
language plpgsql stable security definer
set search_path = ''
as $$
begin
  if exists (select from public.members m
             where m.user_id = private.caller() and m.project_id = project and m.folders is not null) then
    perform private.fail(403, 'outside_folders', 'This is about the whole project, and you are an editor of some folders. Ask an owner.');
  end if;
end
$$;
comment on function private.require_everywhere is 'Refuses editors of some folders.';

create function private.require_inside(project uuid, path text)
returns void
language plpgsql stable
set search_path = ''
as $$
begin
  if private.outside(project, array[path]) <> '{}' then
    perform private.fail(403, 'outside_folders', 'That lies outside the folders that you are an editor of. Ask an owner.',
      jsonb_build_object('path', path));
  end if;
end
$$;
comment on function private.require_inside is 'Refuses a path outside the caller''s folders.';

create function private.end_membership(project uuid, person uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  held public.member_role;
begin
  delete from public.members m where m.user_id = person and m.project_id = project returning m.role into held;
  if found then
    perform private.add_event(project, 'member.removed', jsonb_build_object('person', person, 'role', held));
  end if;
end
$$;
comment on function private.end_membership is 'Takes a membership away, if there is one, and says so.';

create function private.remove_member(project uuid, person text)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  target uuid;
  held public.member_role;
begin
  perform private.lock_project(project, 'reader', even_archived => true);
  select m.user_id, m.role into target, held
  from public.members m join public.profiles p on p.id = m.user_id
  where m.project_id = project and (p.handle = lower(person) or p.id = private.uuid_or_null(lower(person)));
  if target is null then
    perform private.fail(404, 'member_not_found', 'Nobody of that handle or id is a member of this project.');
  end if;
  if target <> auth.uid() then
    perform private.require_role(project, 'owner');  -- anyone may leave; only owners send others away
  end if;
  if held = 'owner' then
    perform private.keep_an_owner(project, target);
  end if;
  perform private.end_membership(project, target);
end
$$;
comment on function private.remove_member is 'Takes a membership away, or gives up one''s own.';
grant execute on function private.remove_member to authenticated;

create function public.remove_member(project text, person text)
returns void
language sql
set search_path = ''
as $$ select private.remove_member(private.project_id(project), person) $$;
comment on function public.remove_member is 'Removes a member by handle or id; anyone may remove themselves.';
revoke execute on function public.remove_member from public, anon, service_role;
grant execute on function public.remove_member to authenticated;

revoke execute on all functions in schema private from public;
