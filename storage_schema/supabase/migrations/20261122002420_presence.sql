-- Who is looking at or editing what, for less than a minute at a time: a hint before conflicts happen, and no lock.
-- It is a table, not Realtime's own presence: the database says whose entry it is (a client of Realtime may claim to
-- be anybody), any number of API processes and clients see the same, and an entry ends with its membership. What
-- is broadcast is only that something changed; who hears a channel longer than they should learns nothing from it.

create type public.presence_state as enum ('viewing', 'editing');
comment on type public.presence_state is 'What somebody does with a document.';

-- Unlogged: after a crash of the database nobody is here until they say so again.
create unlogged table public.presence (
  user_id uuid not null,
  project_id uuid not null,
  device text not null constraint presence_device_form check (device ~ '^[A-Za-z0-9_-]{1,64}$'),
  document_id uuid,
  path public.document_path,
  state public.presence_state not null,
  since timestamptz not null default now(),
  until timestamptz not null,
  primary key (user_id, project_id, device),
  constraint presence_member_fkey foreign key (user_id, project_id) references public.members (user_id, project_id)
    on delete cascade
);
create index presence_project_id_idx on public.presence (project_id);
alter table public.presence enable row level security;

comment on table public.presence is 'Who is looking at or editing what just now, by device.';
comment on column public.presence.user_id is 'Who.';
comment on column public.presence.project_id is 'In which project.';
comment on column public.presence.device is 'Which of the person''s tabs or programs: a name that it made up.';
comment on column public.presence.document_id is 'The document, when there is one.';
comment on column public.presence.path is 'Where, when it was said; null is the project as a whole.';
comment on column public.presence.state is 'viewing or editing.';
comment on column public.presence.since is 'Since when it does this there.';
comment on column public.presence.until is 'Until when this holds, unless it is said again.';

create policy "members see who is present in their projects" on public.presence
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.presence from anon, authenticated, service_role;
grant select on public.presence to authenticated, service_role;

create view public.presence_details with (security_invoker = true) as
  select s.project_id as project, coalesce(to_jsonb(p), jsonb_build_object('id', s.user_id)) as person, s.device,
         s.document_id as document, coalesce(d.path, s.path)::text as path, s.state, s.since, s.until
  from public.presence s
  left join public.people p on p.id = s.user_id
  left join public.documents d on d.id = s.document_id
  where s.until > now();
comment on view public.presence_details is 'Who is present, as answers show it; without those whose time is over.';
revoke all on public.presence_details from anon, authenticated, service_role;
grant select on public.presence_details to authenticated;

create function private.set_presence(
  project uuid, device text, state text, document uuid, path text, seconds integer)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  me uuid := private.caller();
  mine public.presence;
  place text := set_presence.path;
  target uuid := set_presence.document;
  why text := private.path_problem(set_presence.path);
begin
  perform private.require_role(project, case state when 'editing' then 'editor' else 'reader' end::public.member_role);
  if device !~ '^[A-Za-z0-9_-]{1,64}$' or state not in ('viewing', 'editing', 'gone') or seconds not between 5 and 60
     or (document is not null and path is not null) or num_nulls(device, state, seconds) > 0 then
    perform private.fail(422, 'bad_value',
      'Say a device (1 to 64 of A-Z a-z 0-9 _ -), viewing, editing or gone, a document or a path or neither, and 5 to 60 seconds.');
  end if;
  if path is not null and why is not null then
    perform private.fail(422, 'bad_path', why, jsonb_build_object('path', path));
  end if;
  -- The membership before its entries, as who removes a member takes them: else the two would wait for each other.
  perform from public.members m where m.user_id = me and m.project_id = project for key share;
  select s.* into mine from public.presence s
  where s.user_id = me and s.project_id = project and s.device = set_presence.device and s.until > now();
  if state = 'gone' then
    delete from public.presence s where s.user_id = me and s.project_id = project and s.device = set_presence.device;
  else
    if document is not null then
      select d.path into place from public.documents d where d.id = document and d.project_id = project;
      if place is null then
        perform private.fail(404, 'document_not_found', 'There is no such document, or you are not a member of its project.');
      end if;
    elsif path is not null then
      select d.id into target from public.documents d where d.project_id = project and d.path = set_presence.path and d.live;
    end if;
    if mine.device is null then
      -- One by one: two that clear away each other's old entries would wait for each other for ever.
      perform pg_advisory_xact_lock(hashtextextended('presence ' || project, 0));
      -- What is over makes room; a person's twentieth device takes the place of the one that would end first.
      delete from public.presence s where s.project_id = project and s.until <= now();
      delete from public.presence s where s.user_id = me and s.project_id = project and s.device in (
        select o.device from public.presence o where o.user_id = me and o.project_id = set_presence.project
        order by o.until desc, o.device offset 19);
      if (select count(*) from public.presence s where s.project_id = project) >= 1000 then
        perform private.fail(429, 'presence_full', 'A thousand tabs and programs are present in this project. Try again later.');
      end if;
    end if;
    insert into public.presence as s (user_id, project_id, device, document_id, path, state, until)
    values (me, project, set_presence.device, target, place, state::public.presence_state, now() + make_interval(secs => seconds))
    on conflict on constraint presence_pkey do update set
      document_id = excluded.document_id, path = excluded.path, state = excluded.state, until = excluded.until,
      since = case when s.until > now() and (s.document_id, s.path, s.state)
                        is not distinct from (excluded.document_id, excluded.path, excluded.state)
                   then s.since else now() end;
  end if;
  -- Saying the same again changes nothing that others see.
  if (mine.device is null) <> (state = 'gone') or mine.device is not null and state <> 'gone'
     and (mine.document_id, mine.path, mine.state::text) is distinct from (target, place::public.document_path, state) then
    begin
      perform realtime.send('{}', 'presence', 'project:' || project, true);
    exception when others then
      raise warning 'No broadcast of presence in project %: %', project, sqlerrm;
    end;
  end if;
exception when foreign_key_violation then
  -- Removed while this waited.
  perform private.require_role(project, 'reader');
end
$$;
comment on function private.set_presence is 'Says what the caller does on a device, for some seconds; gone takes it back.';
grant execute on function private.set_presence to authenticated;

create function public.list_presence(project text, document uuid default null, path text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    select jsonb_build_object(
      'newest', (select p.event_sequence from public.projects p where p.id = target),
      'items', coalesce(jsonb_agg(to_jsonb(d) order by d.since, d.person ->> 'id', d.device), '[]'))
    from public.presence_details d
    where d.project = target
      and (list_presence.document is null or d.document = list_presence.document)
      and (list_presence.path is null or d.path = list_presence.path));
end
$$;
comment on function public.list_presence is
  'Who is present in a project, or at one document or path of it, by how long they have been; and the project''s newest event then.';

create function public.set_presence(
  project text, device text, state text, document uuid default null, path text default null, seconds integer default 45)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.set_presence(target, device, state, document, path, seconds);
  return (
    select coalesce(jsonb_agg(to_jsonb(d) order by d.since, d.person ->> 'id', d.device), '[]')
    from public.presence mine
    join public.presence_details d on d.project = mine.project_id and d.document is not distinct from mine.document_id
      and (d.document is not null or d.path is not distinct from mine.path)
    where mine.user_id = (select auth.uid()) and mine.project_id = target and mine.device = set_presence.device);
end
$$;
comment on function public.set_presence is
  'Says that the caller is viewing or editing a document (by id or path; neither is the whole project) on a device, for so many seconds; or gone. Gives all who are at the same place then, the caller among them.';
revoke execute on function public.list_presence, public.set_presence from public, anon, service_role;
grant execute on function public.list_presence, public.set_presence to authenticated;

revoke execute on all functions in schema private from public;
