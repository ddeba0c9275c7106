-- Reading the events of a project: a page after a number, filtered, each with what happened in it. What an event
-- is, and that it is numbered without gaps, is migration 0400's; this only reads. docs/events.md lists the kinds.

-- An account that ends takes no membership away: what its person did stays theirs. Yet whoever follows the
-- project must see that they are gone, and streams of theirs must end. In the order of projects: two accounts
-- that end at once wait for each other, and never both for one another.
create function private.tell_of_ended_account()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  home uuid;
begin
  for home in select m.project_id from public.members m where m.user_id = new.id order by m.project_id loop
    perform private.add_event(home, 'member.account_ended', jsonb_build_object('person', new.id));
  end loop;
  return null;
end
$$;
comment on function private.tell_of_ended_account is 'Writes an event into each project of an account that was deleted.';
create trigger tell_of_ended_account after update of account_deleted_at on public.profiles
  for each row when (old.account_deleted_at is null and new.account_deleted_at is not null)
  execute function private.tell_of_ended_account();

grant execute on function private.folders_of, private.session_of, private.stage_of to authenticated;

-- The session of a path and its stage there, by the path then. In plpgsql, because it runs for many versions.
create function private.place_of(project uuid, path text, out session uuid, out stage public.stage)
language plpgsql stable strict
set search_path = ''
as $$
begin
  select s.id, private.stage_of(path, s.root) into session, stage from public.sessions s
  where s.project_id = project and s.root = any (private.folders_of(path))
  order by octet_length(s.root) desc limit 1;
end
$$;
comment on function private.place_of is 'The session that a path lies in, and the stage; nulls outside of sessions.';
grant execute on function private.place_of to authenticated;

-- What a change touches: where each document came to be, and where it was when that was elsewhere (only what
-- moves or is restored can come from elsewhere). A document that is still where it came to be has its session at
-- hand; for the others it is found by the path.
create view public.touched_paths with (security_invoker = true) as
  select v.project_id as project, v.change_sequence as change, v.position, v.path, o.path as from_path,
         d.path is not null as stays, d.session_id as session
  from public.versions v
  -- One by one: a join of all would rather read every version there is.
  left join lateral (select p.path from public.versions p where p.hash = v.parent limit 1) o
    on v.action in ('move', 'restore') and o.path <> v.path
  left join lateral (select x.path, x.session_id from public.documents x where x.id = v.document_id limit 1) d on d.path = v.path;
comment on view public.touched_paths is
  'What paths each change touches: where a document is, and where it was when it moved; its session when it is there still.';
revoke all on public.touched_paths from anon, authenticated, service_role;
grant select on public.touched_paths to authenticated;

-- In plpgsql, because planning it costs more than running it, and a page runs it for each event.
-- At most so many versions of a change are in its event; whoever needs all reads the change.
create function private.event_change(project uuid, sequence bigint)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  return (select jsonb_build_object(
    'sequence', c.sequence, 'hash', c.hash, 'message', left(c.message, 1000), 'version_count', c.version_count,
    'source', c.source, 'agent', c.agent, 'more', c.version_count > 100,
    'versions', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
          'document', v.document_id, 'path', v.path, 'from_path', o.path, 'action', v.action, 'number', v.number,
          'hash', v.hash, 'parent', v.parent,
          'session', coalesce(d.session_id, w.session), 'stage', coalesce(d.stage, w.stage))) order by v.position), '[]')
      from public.versions v
      left join public.versions o on o.hash = v.parent and o.path <> v.path
      left join public.documents d on d.id = v.document_id and d.path = v.path
      -- Strict, so that nothing is looked for where the document says it.
      left join lateral private.place_of(event_change.project, case when d.id is null then v.path end) w on true
      where v.project_id = event_change.project and v.change_sequence = event_change.sequence and v.position <= 100))
  from public.changes c where c.project_id = event_change.project and c.sequence = event_change.sequence);
end
$$;
comment on function private.event_change is 'A change as its event tells of it, with its first 100 versions.';
grant execute on function private.event_change to authenticated;

create function private.versions_of(project uuid, hashes text[])
returns table (hash text, path text)
language sql stable
set search_path = ''
as $$
  select v.hash, v.path from unnest(hashes) h
  cross join lateral (
    select x.hash, x.path from public.versions x where x.hash = h and x.project_id = versions_of.project limit 1) v
$$;
comment on function private.versions_of is 'The paths of a project''s versions by their hashes, one by one.';
grant execute on function private.versions_of to authenticated;

create function public.list_events(
  project text, after bigint default null, page_size integer default 200,
  kinds text[] default null, prefix text default null, session text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  wanted_session uuid := case when session is not null then private.session_id(target, session) end;
  newest bigint;
  upto bigint;
  size integer := private.page_rows(page_size);
  first_change bigint;
  last_change bigint;
  named text[];
  on_path text[];
  changes_on_path bigint[];
  in_session text[];
  changes_in_session bigint[];
  found_ones bigint[];
  page bigint[];
begin
  select p.event_sequence into newest from public.projects p where p.id = target;
  if after is null then
    return jsonb_build_object('project', target, 'session', wanted_session, 'newest', newest, 'scanned', newest, 'events', '[]'::jsonb);
  elsif after > newest then
    perform private.fail(400, 'bad_cursor',
      format('The project has events 1 to %s. Begin anew: without a number, or after 0.', newest), jsonb_build_object('newest', newest));
  end if;
  after := greatest(after, 0);
  -- With a filter a page looks at so many events at most, and says how far it came.
  upto := least(newest, after + 5000);
  if prefix is not null or wanted_session is not null then
    -- And at so many versions, but at one whole change at least.
    select max(w.sequence) into upto from (
      select e.sequence, row_number() over running as n, sum(coalesce(c.version_count, 0)) over running as versions
      from public.events e left join public.changes c on c.project_id = target and c.sequence = e.change_sequence
      where e.project_id = target and e.sequence > list_events.after and e.sequence <= upto
      window running as (order by e.sequence)) w
    where w.n = 1 or w.versions <= 50000;
    upto := coalesce(upto, newest);
    -- Changes come in the order of their events, so these are a range; versions are looked up by hashes that stand in a
    -- variable: taken out of a payload within the query, row security would hold them for leaky, and read all versions.
    select min(e.change_sequence), max(e.change_sequence) into first_change, last_change from public.events e
    where e.project_id = target and e.sequence > list_events.after and e.sequence <= upto;
    named := array(select distinct e.payload ->> 'version' from public.events e
                   where e.project_id = target and e.sequence > list_events.after and e.sequence <= upto and e.payload ? 'version');
  end if;
  if prefix is not null then
    changes_on_path := array(
      select distinct t.change from public.touched_paths t
      where t.project = target and t.change >= first_change and t.change <= last_change
        and (t.path ^@ prefix or t.from_path ^@ prefix));
    on_path := array(select v.hash from private.versions_of(target, named) v where v.path ^@ prefix);
  end if;
  if wanted_session is not null then
    changes_in_session := array(
      select distinct t.change from public.touched_paths t
      where t.project = target and t.change >= first_change and t.change <= last_change
        and (t.session = wanted_session
          or not t.stays and private.session_of(target, t.path) = wanted_session
          or t.from_path is not null and private.session_of(target, t.from_path) = wanted_session));
    in_session := array(select v.hash from private.versions_of(target, named) v where private.session_of(target, v.path) = wanted_session);
  end if;
  found_ones := array(
    select e.sequence from public.events e
    where e.project_id = target and e.sequence > list_events.after and e.sequence <= upto
      and (kinds is null or e.kind = any (kinds) or split_part(e.kind, '.', 1) || '.*' = any (kinds))
      and (prefix is null or e.change_sequence = any (changes_on_path) or e.payload ->> 'version' = any (on_path))
      and (wanted_session is null or e.payload ->> 'session' = wanted_session::text
        or e.change_sequence = any (changes_in_session) or e.payload ->> 'version' = any (in_session))
    order by e.sequence limit size);
  -- And it ends early when its changes are heavy; never without any event.
  page := array(
    select w.sequence from (
      select e.sequence, row_number() over running as n,
             sum(least(coalesce(c.version_count, 0), 100)) over running as versions
      from public.events e left join public.changes c on c.project_id = target and c.sequence = e.change_sequence
      where e.project_id = target and e.sequence = any (found_ones)
      window running as (order by e.sequence)) w
    where w.n = 1 or w.versions <= 2000 order by w.sequence);
  named := array(select distinct e.payload ->> 'version' from public.events e
                 where e.project_id = target and e.sequence = any (page) and e.payload ? 'version');
  return jsonb_build_object(
    'project', target, 'session', wanted_session, 'newest', newest,
    'scanned', case when cardinality(found_ones) < size and cardinality(page) = cardinality(found_ones) then upto
                    else page[cardinality(page)] end,
    'events', (
      with about as materialized (
        select v.hash, jsonb_strip_nulls(jsonb_build_object('path', v.path, 'session', private.session_of(target, v.path))) as place
        from private.versions_of(target, named) v)
      select coalesce(jsonb_agg(
        -- What a tag names is a number; `change` is always what the event itself wrote.
        -- How many versions a change has stands with the change.
        case when e.change_sequence is null then e.payload else e.payload - 'versions' end - 'change'
          || case when e.payload ? 'change' then jsonb_build_object('tagged', e.payload -> 'change') else '{}' end
          || case when e.payload ? 'person'
               then jsonb_build_object('person', coalesce(to_jsonb(w), jsonb_build_object('id', e.payload -> 'person'))) else '{}' end
          || coalesce(a.place, '{}')
          || jsonb_build_object(
            'sequence', e.sequence, 'kind', e.kind, 'at', e.created_at,
            'actor', case when e.actor_id is not null then coalesce(to_jsonb(p), jsonb_build_object('id', e.actor_id))
              || case when g.name is not null then jsonb_build_object('agent', g.name) else '{}' end end,
            'change', case when e.change_sequence is not null then private.event_change(target, e.change_sequence) end)
        order by e.sequence), '[]')
      from public.events e
      left join public.people p on p.id = e.actor_id
      left join lateral (
        select x.* from public.people x where x.id = private.uuid_or_null(e.payload ->> 'person') limit 1) w on true
      left join public.agents g on g.account_id = e.actor_id and g.project_id = target
      left join about a on a.hash = e.payload ->> 'version'
      where e.project_id = target and e.sequence = any (page)));
end
$$;
comment on function public.list_events is
  '{project, session, newest, scanned, events}: events after a number, oldest first, filtered by kind (exact or noun.*), path prefix and session; scanned is how far this page looked, to go on after. Without a number: no events, and the newest number. Readers of projects.';
revoke execute on function public.list_events from public, anon, service_role;
grant execute on function public.list_events to authenticated;

-- What a large change touches, for whoever filters its event without asking for each filter.
create function public.read_event_reach(project text, change bigint)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    with touched as materialized (
      select t.path, t.from_path, t.stays, t.session from public.touched_paths t
      where t.project = target and t.change = read_event_reach.change)
    select jsonb_build_object('paths', coalesce(jsonb_agg(r.path order by r.path), '[]'),
                              'sessions', coalesce(jsonb_agg(distinct r.session) filter (where r.session is not null), '[]'))
    from (
      select t.path, case when t.stays then t.session else private.session_of(target, t.path) end as session from touched t
      union
      select t.from_path, private.session_of(target, t.from_path) from touched t where t.from_path is not null) r);
end
$$;
comment on function public.read_event_reach is '{paths, sessions}: every path that a change touches, in byte order, and the sessions that these lie in.';
revoke execute on function public.read_event_reach from public, anon, service_role;
grant execute on function public.read_event_reach to authenticated;

revoke execute on all functions in schema private from public;
