-- Webhooks: a project's events, sent to addresses that its owners name. A commit writes its event and nothing else;
-- a worker of the operator (`verso webhooks deliver`, with the secret key) keeps a place per webhook in `events`,
-- claims those that are behind, sends, and says how it went.
--
-- In order, and at least once: an event is not tried before the one before it was taken. A claim is a lease, so
-- several workers never send one event at the same time; a worker that dies lets its lease run out, and its event is
-- sent again. What an event looks like is list_events' word, asked as one of the project's owners.
--
-- Addresses may hold secrets and signing needs the key itself, so these tables are in `private`: owners see them
-- through the functions here, the worker through those for the secret key. Bundles leave them out: a project that is
-- put back elsewhere must not send there.

create table private.webhooks (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects,
  url text not null
    constraint webhooks_url_form check (url ~ '^https?://[^\s/@#?]+(/[!-~]*)?(\?[!-~]*)?$' and url !~ '#' and octet_length(url) <= 2000),
  description text not null default '' constraint webhooks_description_length check (char_length(description) <= 500),
  kinds text[] constraint webhooks_kinds_count check (cardinality(kinds) between 1 and 50),
  prefix text constraint webhooks_prefix_length check (octet_length(prefix) between 1 and 1024),
  state text not null default 'active' constraint webhooks_state_known check (state in ('active', 'paused', 'disabled')),
  secret bytea not null,
  old_secret bytea,
  old_secret_until timestamptz,
  made_by uuid not null references public.profiles,
  made_at timestamptz not null default now(),
  place bigint not null,
  replay_first bigint,
  replay_last bigint,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  failing_since timestamptz,
  last_delivered_at timestamptz,
  last_error text,
  lease uuid,
  leased_until timestamptz,
  delivery_count bigint not null default 0,
  constraint webhooks_replay_whole check ((replay_first is null) = (replay_last is null))
);
create index webhooks_project_idx on private.webhooks (project_id, made_at);
create index webhooks_made_by_idx on private.webhooks (made_by);
create index webhooks_due_idx on private.webhooks (next_attempt_at) where state = 'active';
alter table private.webhooks enable row level security;
create policy "nobody but the functions below" on private.webhooks using (false);
revoke all on private.webhooks from public, anon, authenticated, service_role;
comment on table private.webhooks is 'Where a project''s events are sent, and how far that has come.';
comment on column private.webhooks.id is 'Stable id.';
comment on column private.webhooks.project_id is 'The project.';
comment on column private.webhooks.url is 'Where to; it may hold a secret of the receiver''s.';
comment on column private.webhooks.description is 'What its owner says of it.';
comment on column private.webhooks.kinds is 'Only these kinds, or noun.*; null for all.';
comment on column private.webhooks.prefix is 'Only events about paths that begin so; null for all.';
comment on column private.webhooks.state is 'active; paused by an owner; disabled after days of failure, or when the receiver said 410.';
comment on column private.webhooks.secret is 'The key of its signatures.';
comment on column private.webhooks.old_secret is 'The key before it, signed with as well until old_secret_until.';
comment on column private.webhooks.old_secret_until is 'Until when both keys sign.';
comment on column private.webhooks.made_by is 'The owner who made it.';
comment on column private.webhooks.made_at is 'When it was made.';
comment on column private.webhooks.place is 'The last event that is done: delivered, or not wanted.';
comment on column private.webhooks.replay_first is 'The next event that is sent once more, before anything new; or null.';
comment on column private.webhooks.replay_last is 'The last one that is sent once more.';
comment on column private.webhooks.attempts is 'How often the next event was tried in vain.';
comment on column private.webhooks.next_attempt_at is 'Not tried before this time.';
comment on column private.webhooks.failing_since is 'When the first of these failures was, or null.';
comment on column private.webhooks.last_delivered_at is 'When something was last taken.';
comment on column private.webhooks.last_error is 'What the last failure was; null after a success.';
comment on column private.webhooks.lease is 'The claim of the worker that is at it.';
comment on column private.webhooks.leased_until is 'When that claim is over unless the worker says more.';
comment on column private.webhooks.delivery_count is 'How many attempts there have been.';

create table private.webhook_deliveries (
  webhook_id uuid not null references private.webhooks on delete cascade,
  number bigint not null,
  sequence bigint not null,
  kind text not null,
  attempt integer not null,
  replay boolean not null,
  at timestamptz not null default clock_timestamp(),
  ms integer not null,
  status integer,
  error text constraint webhook_deliveries_error_length check (char_length(error) <= 300),
  delivered boolean not null,
  primary key (webhook_id, number)
);
alter table private.webhook_deliveries enable row level security;
create policy "nobody but the functions below" on private.webhook_deliveries using (false);
revoke all on private.webhook_deliveries from public, anon, authenticated, service_role;
comment on table private.webhook_deliveries is 'The last thousand attempts of each webhook.';
comment on column private.webhook_deliveries.webhook_id is 'The webhook.';
comment on column private.webhook_deliveries.number is 'The attempt''s number, from 1.';
comment on column private.webhook_deliveries.sequence is 'The event.';
comment on column private.webhook_deliveries.kind is 'The event''s kind.';
comment on column private.webhook_deliveries.attempt is 'Which attempt at this event it was, from 1.';
comment on column private.webhook_deliveries.replay is 'Whether an owner asked for it once more.';
comment on column private.webhook_deliveries.at is 'When it was over.';
comment on column private.webhook_deliveries.ms is 'How long it took, in milliseconds.';
comment on column private.webhook_deliveries.status is 'What the receiver answered; null when it didn''t.';
comment on column private.webhook_deliveries.error is 'Why it is no delivery; null when it is one. Never what the receiver wrote.';
comment on column private.webhook_deliveries.delivered is 'Whether the receiver took it.';

-- For owners ------------------------------------------------------------------------------------

create function private.webhook_shown(webhook uuid)
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', w.id, 'project', w.project_id, 'url', w.url, 'description', w.description, 'kinds', w.kinds, 'prefix', w.prefix,
    'state', w.state, 'made_by', private.person_shown(w.made_by, false), 'made_at', w.made_at,
    'place', w.place, 'newest', p.event_sequence,
    'replay', case when w.replay_first is not null then jsonb_build_object('first', w.replay_first, 'last', w.replay_last) end,
    'attempts', w.attempts, 'failing_since', w.failing_since, 'last_error', w.last_error,
    'next_attempt_at', case when w.attempts > 0 and w.state = 'active' then w.next_attempt_at end,
    'last_delivered_at', w.last_delivered_at,
    'old_secret_until', case when w.old_secret_until > now() then w.old_secret_until end)
  from private.webhooks w join public.projects p on p.id = w.project_id where w.id = webhook
$$;
comment on function private.webhook_shown is 'A webhook as owners see it: everything but its keys.';

create function private.webhook_host(url text)
returns text
language sql immutable
set search_path = ''
as $$ select substring(url from '^https?://([^/?]+)') $$;
comment on function private.webhook_host is 'The host of an address: what every member may know of it.';

create function private.webhook_of(project uuid, webhook text)
returns private.webhooks
language plpgsql stable
set search_path = ''
as $$
declare
  found_one private.webhooks;
begin
  select * into found_one from private.webhooks w where w.project_id = project and w.id = private.uuid_or_null(lower(webhook));
  if found_one.id is null then
    perform private.fail(404, 'webhook_not_found', 'The project has no such webhook. List its webhooks.');
  end if;
  return found_one;
end
$$;
comment on function private.webhook_of is 'A project''s webhook by its id; 404 when there is none.';

create function private.check_webhook(url text, kinds text[], prefix text, description text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if url is null or url !~ '^https?://[^\s/@#?]+(/[!-~]*)?(\?[!-~]*)?$' or url ~ '#' or octet_length(url) > 2000 then
    perform private.fail(422, 'bad_webhook', 'An address is https://host/path: at most 2000 bytes, ASCII, without a user or a fragment.');
  elsif kinds is not null and (cardinality(kinds) not between 1 and 50 or exists (
    select from unnest(kinds) k where k is null or k !~ '^[a-z]+\.([a-z_]+|\*)$')) then
    perform private.fail(422, 'bad_webhook', 'Kinds are 1 to 50 of noun.verb and noun.*: change.added, change.*; none for all.');
  elsif octet_length(prefix) not between 1 and 1024 then
    perform private.fail(422, 'bad_webhook', 'A prefix is the beginning of a path: 1 to 1024 bytes; none for all.');
  elsif char_length(description) > 500 then
    perform private.fail(422, 'bad_webhook', 'A description has at most 500 characters.');
  end if;
end
$$;
comment on function private.check_webhook is 'Refuses what a webhook cannot be.';

create function private.new_secret()
returns bytea
language sql volatile
set search_path = ''
as $$ select sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')) $$;
comment on function private.new_secret is '32 bytes from 366 random bits.';

create function private.secret_shown(secret bytea)
returns text
language sql immutable
set search_path = ''
as $$ select 'whsec_' || replace(encode(secret, 'base64'), E'\n', '') $$;
comment on function private.secret_shown is 'A key as Standard Webhooks writes it.';

create function private.create_webhook(project uuid, url text, kinds text[], prefix text, description text)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  made private.webhooks;
  held public.projects := private.lock_project(project, 'owner');
begin
  perform private.check_webhook(url, kinds, prefix, description);
  if (select count(*) from private.webhooks w where w.project_id = project) >= 20 then
    perform private.fail(409, 'too_many_webhooks', 'The project has 20 webhooks. Remove one first.');
  end if;
  -- It begins now: the event that tells of it is the first that it may send.
  insert into private.webhooks (project_id, url, kinds, prefix, description, secret, made_by, place)
  values (project, create_webhook.url, create_webhook.kinds, create_webhook.prefix, coalesce(create_webhook.description, ''),
    private.new_secret(), auth.uid(), held.event_sequence)
  returning * into made;
  perform private.add_event(project, 'webhook.added', jsonb_build_object('webhook', made.id, 'host', private.webhook_host(made.url)));
  return private.webhook_shown(made.id) || jsonb_build_object('secret', private.secret_shown(made.secret));
end
$$;
comment on function private.create_webhook is 'Registers a webhook; owners only. The one answer with its key.';
grant execute on function private.create_webhook to authenticated;

create function private.list_webhooks(project uuid, after text, page_size integer)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
  seen_at timestamptz := private.moment_or_null(split_part(after, ' ', 1));
  seen_id uuid := private.uuid_or_null(split_part(after, ' ', 2));
begin
  perform private.require_role(project, 'owner');
  return (select coalesce(jsonb_agg(private.webhook_shown(w.id) order by w.made_at, w.id), '[]')
          from (
            select * from private.webhooks w
            where w.project_id = project and (after is null or (w.made_at, w.id) > (seen_at, seen_id))
            order by w.made_at, w.id limit private.page_rows(page_size)) w);
end
$$;
comment on function private.list_webhooks is
  'A project''s webhooks with their health, oldest first; after is "made_at id" of the last one seen. Owners only.';
grant execute on function private.list_webhooks to authenticated;

create function private.update_webhook(project uuid, webhook text, edit jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects := private.lock_project(project, 'owner', even_archived => true);
  old private.webhooks := private.webhook_of(project, webhook);
  new private.webhooks := old;
begin
  -- What is named goes into an event, which every member reads and nobody takes back.
  if jsonb_typeof(edit) is distinct from 'object' or edit - array['url', 'description', 'kinds', 'prefix', 'state', 'from'] <> '{}' then
    perform private.fail(422, 'bad_value', 'Of a webhook its url, description, kinds, prefix and state can be changed; from is now.');
  end if;
  if edit ? 'url' then new.url := edit ->> 'url'; end if;
  if edit ? 'description' then new.description := coalesce(edit ->> 'description', ''); end if;
  if edit ? 'prefix' then new.prefix := edit ->> 'prefix'; end if;
  if edit ? 'kinds' then
    new.kinds := case when jsonb_typeof(edit -> 'kinds') = 'array' then array(select jsonb_array_elements_text(edit -> 'kinds')) end;
  end if;
  if edit ? 'state' then new.state := edit ->> 'state'; end if;
  perform private.check_webhook(new.url, new.kinds, new.prefix, new.description);
  if new.state is null or new.state not in ('active', 'paused') and new.state <> old.state
    or edit ? 'from' and edit ->> 'from' is distinct from 'now' then
    perform private.fail(422, 'bad_value', 'The state of a webhook is set to active or paused; from is now.');
  end if;
  update private.webhooks w
  set url = new.url, description = new.description, prefix = new.prefix, kinds = new.kinds, state = new.state,
      place = case when edit ? 'from' then held.event_sequence else w.place end,
      replay_first = case when edit ? 'from' then null else w.replay_first end,
      replay_last = case when edit ? 'from' then null else w.replay_last end,
      -- Who mends something wants to see whether it helped, and has all the days again.
      next_attempt_at = case when new.state = 'active' then now() else w.next_attempt_at end,
      attempts = case when new.state = 'active' then 0 else w.attempts end,
      failing_since = case when new.state = 'active' then null else w.failing_since end
  where w.id = old.id;
  perform private.add_event(project, 'webhook.edited', jsonb_build_object('webhook', old.id, 'host', private.webhook_host(new.url),
    'state', new.state, 'edited', (select coalesce(jsonb_agg(k order by k), '[]') from jsonb_object_keys(edit) k)));
  return private.webhook_shown(old.id);
end
$$;
comment on function private.update_webhook is 'Changes what an edit names: url, description, kinds, prefix, state; from now leaves out what is waiting. Owners only.';
grant execute on function private.update_webhook to authenticated;

create function private.rotate_webhook(project uuid, webhook text, overlap integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  old private.webhooks;
  fresh bytea := private.new_secret();
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  old := private.webhook_of(project, webhook);
  if overlap is null or overlap not between 0 and 604800 then
    perform private.fail(422, 'bad_value', 'Both keys sign for 0 to 604800 seconds.');
  end if;
  update private.webhooks w
  set secret = fresh, old_secret = case when overlap > 0 then w.secret end,
      old_secret_until = case when overlap > 0 then now() + make_interval(secs => overlap) end
  where w.id = old.id;
  perform private.add_event(project, 'webhook.rotated', jsonb_build_object('webhook', old.id));
  return private.webhook_shown(old.id) || jsonb_build_object('secret', private.secret_shown(fresh));
end
$$;
comment on function private.rotate_webhook is 'Gives a webhook another key; for overlap seconds both sign. Owners only.';
grant execute on function private.rotate_webhook to authenticated;

create function private.remove_webhook(project uuid, webhook text)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  old private.webhooks;
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  old := private.webhook_of(project, webhook);
  delete from private.webhooks w where w.id = old.id;
  perform private.add_event(project, 'webhook.removed', jsonb_build_object('webhook', old.id, 'host', private.webhook_host(old.url)));
end
$$;
comment on function private.remove_webhook is 'Removes a webhook with its deliveries; owners only.';
grant execute on function private.remove_webhook to authenticated;

create function private.replay_webhook(project uuid, webhook text, first bigint, last bigint)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  old private.webhooks;
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  old := private.webhook_of(project, webhook);
  if first is null or last is null or first < 1 or last < first or last - first >= 10000 or last > old.place then
    perform private.fail(422, 'bad_value', format('Events 1 to %s can be sent once more, at most 10000 at once.', old.place),
      jsonb_build_object('last', old.place));
  elsif old.replay_first is not null then
    perform private.fail(409, 'replay_pending', 'Events are being sent once more already. Wait until they are, or leave them out (from now).',
      jsonb_build_object('first', old.replay_first, 'last', old.replay_last));
  end if;
  update private.webhooks w set replay_first = first, replay_last = last where w.id = old.id;
  return private.webhook_shown(old.id);
end
$$;
comment on function private.replay_webhook is 'Has events sent once more, before anything new; owners only.';
grant execute on function private.replay_webhook to authenticated;

create function private.list_deliveries(project uuid, webhook text, before bigint, page_size integer, failed boolean)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
  of_it private.webhooks;
begin
  perform private.require_role(project, 'owner');
  of_it := private.webhook_of(project, webhook);
  return (
    select coalesce(jsonb_agg(to_jsonb(d) - 'webhook_id' order by d.number desc), '[]')
    from (select * from private.webhook_deliveries d
          where d.webhook_id = of_it.id and (before is null or d.number < before) and (not failed or not d.delivered)
          order by d.number desc limit private.page_rows(page_size)) d);
end
$$;
comment on function private.list_deliveries is 'Attempts of a webhook, newest first; owners only.';
grant execute on function private.list_deliveries to authenticated;

create function public.create_webhook(
  project text, url text, kinds text[] default null, prefix text default null, description text default '')
returns jsonb
language sql
set search_path = ''
as $$ select private.create_webhook(private.project_id(project), url, kinds, prefix, description) $$;
comment on function public.create_webhook is 'Registers an address for a project''s events; the answer has its key, and no other answer does.';

create function public.list_webhooks(project text, after text default null, page_size integer default 50)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.list_webhooks(private.project_id(project), after, page_size) $$;
comment on function public.list_webhooks is
  'A project''s webhooks, oldest first, with how far they are and what is the matter with them; after is "made_at id" of the last one seen.';

create function public.update_webhook(project text, webhook text, edit jsonb)
returns jsonb
language sql
set search_path = ''
as $$ select private.update_webhook(private.project_id(project), webhook, edit) $$;
comment on function public.update_webhook is 'Changes a webhook: url, description, kinds, prefix, state (active or paused), from (now).';

create function public.rotate_webhook(project text, webhook text, overlap integer default 86400)
returns jsonb
language sql
set search_path = ''
as $$ select private.rotate_webhook(private.project_id(project), webhook, overlap) $$;
comment on function public.rotate_webhook is 'Gives a webhook another key, which is in the answer; both sign for overlap seconds.';

create function public.remove_webhook(project text, webhook text)
returns void
language sql
set search_path = ''
as $$ select private.remove_webhook(private.project_id(project), webhook) $$;
comment on function public.remove_webhook is 'Removes a webhook and what is known of its deliveries.';

create function public.replay_webhook(project text, webhook text, first bigint, last bigint)
returns jsonb
language sql
set search_path = ''
as $$ select private.replay_webhook(private.project_id(project), webhook, first, last) $$;
comment on function public.replay_webhook is 'Has events that were sent already sent once more.';

create function public.list_deliveries(
  project text, webhook text, before bigint default null, page_size integer default 50, failed boolean default false)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.list_deliveries(private.project_id(project), webhook, before, page_size, failed) $$;
comment on function public.list_deliveries is 'The last attempts of a webhook, newest first; those that failed only, if so asked.';

revoke execute on function public.create_webhook, public.list_webhooks, public.update_webhook, public.rotate_webhook,
  public.remove_webhook, public.replay_webhook, public.list_deliveries from public, anon, service_role;
grant execute on function public.create_webhook, public.list_webhooks, public.update_webhook, public.rotate_webhook,
  public.remove_webhook, public.replay_webhook, public.list_deliveries to authenticated;

-- For the worker --------------------------------------------------------------------------------

-- What list_events says, asked as an owner who is there: a worker's key is nobody's, and a project always has one.
create function private.events_for_webhook(project uuid, after bigint, page_size integer, kinds text[], prefix text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  before text := current_setting('request.jwt.claims', true);
  owner uuid;
  page jsonb;
begin
  select m.user_id into owner from public.members m join public.profiles p on p.id = m.user_id
  where m.project_id = project and m.role = 'owner' and p.account_deleted_at is null order by m.created_at, m.user_id limit 1;
  if owner is null then
    return null;  -- nobody is left who could have wanted it
  end if;
  perform set_config('request.jwt.claims', jsonb_build_object('sub', owner, 'role', 'authenticated')::text, true);
  page := public.list_events(project::text, after, page_size, kinds, prefix, null);
  perform set_config('request.jwt.claims', coalesce(before, ''), true);
  return page;
end
$$;
comment on function private.events_for_webhook is 'A page of a project''s events as its owners read them; null when no owner is left.';

create function private.claim_deliveries(webhooks integer, events integer, seconds integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  due private.webhooks;
  page jsonb;
  wanted jsonb;
  claimed jsonb := '[]';
  claim uuid;
  began timestamptz := clock_timestamp();
begin
  for due in
    select w.* from private.webhooks w join public.projects p on p.id = w.project_id
    where w.state = 'active' and w.next_attempt_at <= clock_timestamp()
      and (w.lease is null or w.leased_until < clock_timestamp())
      and (w.replay_first is not null or p.event_sequence > w.place)
    order by w.next_attempt_at, w.id limit least(greatest(webhooks, 1), 100)
    for update of w skip locked
  loop
    -- A call ends in good time, and what it has found by then is kept: a timeout would undo it for all of them.
    exit when clock_timestamp() > began + interval '2 s';
    begin
      page := private.events_for_webhook(due.project_id, coalesce(due.replay_first - 1, due.place),
        -- What failed goes alone: nothing after it is tried before it.
        case when due.attempts > 0 then 1 else least(greatest(events, 1), 100) end, due.kinds, due.prefix);
    exception when others then
      raise warning 'The events of webhook % cannot be read: %', due.id, sqlerrm;
      update private.webhooks w set next_attempt_at = clock_timestamp() + interval '1 minute', last_error = 'its events cannot be read'
      where w.id = due.id;
      continue;
    end;
    if page is null then
      update private.webhooks w set next_attempt_at = clock_timestamp() + interval '1 hour', last_error = 'the project has no owner'
      where w.id = due.id;
      continue;
    end if;
    select coalesce(jsonb_agg(e order by e -> 'sequence'), '[]') into wanted
    from jsonb_array_elements(page -> 'events') e
    where due.replay_last is null or (e ->> 'sequence')::bigint <= due.replay_last;
    if wanted = '[]' then
      -- And behind those that wait already: one that passes by a long history would be first every time.
      if due.replay_first is null then
        update private.webhooks w set place = (page ->> 'scanned')::bigint, next_attempt_at = clock_timestamp() where w.id = due.id;
      elsif (page ->> 'scanned')::bigint >= due.replay_last or page -> 'events' <> '[]' then
        update private.webhooks w set replay_first = null, replay_last = null where w.id = due.id;
      else
        update private.webhooks w set replay_first = (page ->> 'scanned')::bigint + 1, next_attempt_at = clock_timestamp() where w.id = due.id;
      end if;
      continue;
    end if;
    claim := gen_random_uuid();
    update private.webhooks w
    set lease = claim, leased_until = clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600))
    where w.id = due.id;
    claimed := claimed || jsonb_build_object(
      'webhook', due.id, 'lease', claim, 'project', due.project_id, 'url', due.url, 'attempts', due.attempts,
      'replay', due.replay_first is not null, 'events', wanted,
      'secrets', jsonb_build_array(private.secret_shown(due.secret))
        || case when due.old_secret_until > clock_timestamp() then jsonb_build_array(private.secret_shown(due.old_secret)) else '[]'::jsonb end);
  end loop;
  return claimed;
end
$$;
comment on function private.claim_deliveries is 'Leases webhooks that are behind, with their next events; no two workers get the same one.';
grant execute on function private.claim_deliveries to service_role;

-- 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, and 12 h from then on; a fifth more or less, so that those that
-- failed together don't come back together.
create function private.webhook_pause(attempts integer)
returns interval
language sql volatile
set search_path = ''
as $$
  select make_interval(secs => (array[5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200])[least(greatest(attempts, 1), 10)]
    * (0.8 + 0.4 * random()))
$$;
comment on function private.webhook_pause is 'How long to wait after so many failures.';

create function private.finish_delivery(
  webhook uuid, lease uuid, event bigint, kind text, replay boolean, delivered boolean, ms integer, status integer, error text,
  retry_after integer, last boolean, seconds integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  held private.webhooks;
  over boolean;
begin
  -- The project's row before the webhook's, as owners' edits take them: else the two would wait for each other.
  perform from public.projects p join private.webhooks w on w.project_id = p.id
  where w.id = finish_delivery.webhook and not delivered and (status = 410 or w.failing_since < clock_timestamp() - interval '5 days')
  for no key update of p;
  select * into held from private.webhooks w where w.id = finish_delivery.webhook and w.lease = finish_delivery.lease for update;
  if held.id is null then
    return jsonb_build_object('go_on', false);  -- too late: it is another worker's by now, or gone
  end if;
  insert into private.webhook_deliveries (webhook_id, number, sequence, kind, attempt, replay, ms, status, error, delivered)
  values (held.id, held.delivery_count + 1, event, finish_delivery.kind, held.attempts + 1, finish_delivery.replay, greatest(finish_delivery.ms, 0),
    finish_delivery.status, left(finish_delivery.error, 300), finish_delivery.delivered);
  delete from private.webhook_deliveries d where d.webhook_id = held.id and d.number <= held.delivery_count - 999;
  if delivered then
    update private.webhooks w
    set delivery_count = w.delivery_count + 1, attempts = 0, failing_since = null, last_error = null, last_delivered_at = clock_timestamp(),
        next_attempt_at = clock_timestamp(),
        place = case when finish_delivery.replay then w.place else greatest(w.place, event) end,
        replay_first = case when not finish_delivery.replay then w.replay_first when event < w.replay_last then event + 1 end,
        replay_last = case when not finish_delivery.replay or event < w.replay_last then w.replay_last end,
        lease = case when not finish_delivery.last and w.state = 'active' then w.lease end,
        leased_until = clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600))
    where w.id = held.id;
    return jsonb_build_object('go_on', not finish_delivery.last and held.state = 'active');
  end if;
  -- A receiver that says Gone means it (RFC 9110, 15.5.11); one that fails for five days isn't there.
  over := status = 410 or held.failing_since < clock_timestamp() - interval '5 days';
  update private.webhooks w
  set delivery_count = w.delivery_count + 1, attempts = w.attempts + 1, failing_since = coalesce(w.failing_since, clock_timestamp()),
      last_error = left(finish_delivery.error, 300), lease = null, leased_until = null,
      state = case when over and w.state = 'active' then 'disabled' else w.state end,
      next_attempt_at = clock_timestamp()
        + greatest(private.webhook_pause(w.attempts + 1), make_interval(secs => least(greatest(coalesce(retry_after, 0), 0), 86400)))
  where w.id = held.id;
  if over and held.state = 'active' then
    perform private.add_event(held.project_id, 'webhook.disabled', jsonb_build_object('webhook', held.id,
      'host', private.webhook_host(held.url), 'failing_since', coalesce(held.failing_since, clock_timestamp()), 'status', status));
  end if;
  return jsonb_build_object('go_on', false);
end
$$;
comment on function private.finish_delivery is
  'Notes how an attempt went, under the worker''s lease; whether to go on with the next one. A failure waits, and after five days the webhook is disabled.';
grant execute on function private.finish_delivery to service_role;

create function private.release_deliveries(webhook uuid, lease uuid)
returns void
language sql security definer
set search_path = ''
as $$
  update private.webhooks w set lease = null, leased_until = null
  where w.id = release_deliveries.webhook and w.lease = release_deliveries.lease
$$;
comment on function private.release_deliveries is 'Gives a lease back: a worker that stops.';
grant execute on function private.release_deliveries to service_role;

create function private.webhook_figures()
returns jsonb
language sql stable security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'active', count(*) filter (where w.state = 'active'), 'paused', count(*) filter (where w.state = 'paused'),
    'disabled', count(*) filter (where w.state = 'disabled'),
    'failing', count(*) filter (where w.state = 'active' and w.attempts > 0),
    'behind', count(*) filter (where w.state = 'active' and p.event_sequence > w.place),
    'waiting', coalesce(sum(p.event_sequence - w.place) filter (where w.state = 'active'), 0),
    'oldest_seconds', coalesce(extract(epoch from clock_timestamp() - min(e.created_at)), 0)::bigint)
  from private.webhooks w
  join public.projects p on p.id = w.project_id
  left join public.events e on w.state = 'active' and e.project_id = w.project_id and e.sequence = w.place + 1
$$;
comment on function private.webhook_figures is 'How many webhooks there are, how many are behind, by how many events, and the age of the oldest of those.';
grant execute on function private.webhook_figures to service_role;

create function public.webhook_figures()
returns jsonb
language sql stable
set search_path = ''
as $$ select private.webhook_figures() $$;
comment on function public.webhook_figures is
  'Operators: {active, paused, disabled, failing, behind, waiting, oldest_seconds} of all webhooks; waiting counts events that filters will leave out, too.';

create function public.claim_deliveries(webhooks integer default 10, events integer default 20, seconds integer default 60)
returns jsonb
language sql
set search_path = ''
as $$ select private.claim_deliveries(webhooks, events, seconds) $$;
comment on function public.claim_deliveries is 'The worker: what is to be sent now, leased to the caller for so many seconds.';

create function public.finish_delivery(
  webhook uuid, lease uuid, event bigint, kind text, replay boolean, delivered boolean, ms integer, status integer default null,
  error text default null, retry_after integer default null, last boolean default false, seconds integer default 60)
returns jsonb
language sql
set search_path = ''
as $$ select private.finish_delivery(webhook, lease, event, kind, replay, delivered, ms, status, error, retry_after, last, seconds) $$;
comment on function public.finish_delivery is 'The worker: how an attempt went; {go_on}, whether the lease holds for the next one.';

create function public.release_deliveries(webhook uuid, lease uuid)
returns void
language sql
set search_path = ''
as $$ select private.release_deliveries(webhook, lease) $$;
comment on function public.release_deliveries is 'The worker: gives a lease back before it runs out.';

revoke execute on function public.webhook_figures, public.claim_deliveries, public.finish_delivery, public.release_deliveries from public, anon, authenticated;
grant execute on function public.webhook_figures, public.claim_deliveries, public.finish_delivery, public.release_deliveries to service_role;

revoke execute on all functions in schema private from public;
