-- What people think of a version: verdicts, and comments that are anchored to its lines. Nothing here is
-- ever edited. A verdict is replaced by giving another one, a comment is taken back by saying so.

create type public.review_verdict as enum ('approve', 'request_changes', 'withdraw');
comment on type public.review_verdict is 'What a reviewer says of a version; withdraw takes their earlier verdict back.';

create type public.comment_side as enum ('old', 'new');
comment on type public.comment_side is 'Whose lines a comment is about: those of its version (new), or those of the version before it (old).';

create type public.comment_act as enum ('resolve', 'reopen', 'retract');
comment on type public.comment_act is 'What can happen to a comment after it was made.';

alter table public.projects add column tags_need_approval boolean not null default false;
comment on column public.projects.tags_need_approval is 'Whether a tag needs every version that it names to be approved.';
alter table public.projects add column completion_needs_approval boolean not null default false;
comment on column public.projects.completion_needs_approval is
  'Whether a session, or a stage of one, needs its live stage documents to be approved before it is complete.';
alter table public.projects add column completion_needs_document boolean not null default false;
comment on column public.projects.completion_needs_document is 'Whether a stage needs its own document before it is complete.';
alter table public.projects add column completion_needs_validation boolean not null default false;
comment on column public.projects.completion_needs_validation is
  'Whether the report that completes a stage needs a validation without errors and without [REQUIRES INPUT].';

create table public.comments (
  id uuid primary key,
  project_id uuid not null,
  sequence bigint not null,
  document_id uuid not null references public.documents,
  version public.sha256_hex not null references public.versions,
  -- Never null, because row security holds coalesce for leaky: what needs it can't use an index.
  thread_id uuid not null references public.comments,
  author_id uuid not null references public.profiles,
  actor public.actor_kind not null,
  agent text,
  on_behalf_of uuid references public.profiles,
  side public.comment_side,
  first_line integer,
  last_line integer,
  idempotency_key text constraint comments_idempotency_key_length check (char_length(idempotency_key) between 1 and 255),
  created_at timestamptz not null default clock_timestamp(),
  -- The event comes first, so that there is no comment that nobody was told of.
  constraint comments_event_key unique (project_id, sequence),
  constraint comments_event_fkey foreign key (project_id, sequence) references public.events (project_id, sequence),
  constraint comments_lines_rule check (num_nonnulls(side, first_line, last_line) in (0, 3)),
  constraint comments_lines_order check (first_line >= 1 and last_line >= first_line),
  constraint comments_reply_rule check (thread_id = id or side is null)
);
create index comments_document_idx on public.comments (document_id, sequence);
create index comments_version_idx on public.comments (version, sequence);
create index comments_thread_idx on public.comments (thread_id, sequence);
create index comments_author_idx on public.comments (author_id);
create index comments_on_behalf_of_idx on public.comments (on_behalf_of) where on_behalf_of is not null;
create unique index comments_idempotency_key on public.comments (project_id, author_id, idempotency_key)
  where idempotency_key is not null;
alter table public.comments enable row level security;

comment on table public.comments is 'Remarks on a version, on its lines or on all of it, and replies to them.';
comment on column public.comments.id is 'Stable id.';
comment on column public.comments.project_id is 'The project.';
comment on column public.comments.sequence is 'The number of its event: its place in the project''s order.';
comment on column public.comments.document_id is 'The document of its version.';
comment on column public.comments.version is 'The version it is about.';
comment on column public.comments.thread_id is 'The first comment of its thread: its own id when it is the first.';
comment on column public.comments.author_id is 'The account that wrote it.';
comment on column public.comments.actor is 'A person or an agent.';
comment on column public.comments.agent is 'The agent''s name, when an agent wrote it.';
comment on column public.comments.on_behalf_of is 'For whom that agent acted.';
comment on column public.comments.side is 'Whose lines; null when it is about the whole version, and in a reply.';
comment on column public.comments.first_line is 'The first line, from 1.';
comment on column public.comments.last_line is 'The last line, itself included.';
comment on column public.comments.idempotency_key is 'The key under which a repeated request writes once.';
comment on column public.comments.created_at is 'When.';

-- Apart from the comment, so that row security can hide it: row security hides rows, not columns.
create table public.comment_texts (
  comment_id uuid primary key references public.comments,
  project_id uuid not null references public.projects,
  body text not null constraint comment_texts_body_length check (octet_length(body) between 1 and 65536)
);
create index comment_texts_project_id_idx on public.comment_texts (project_id);
alter table public.comment_texts enable row level security;

comment on table public.comment_texts is 'What comments say. Hidden from everybody once the comment was retracted.';
comment on column public.comment_texts.comment_id is 'The comment.';
comment on column public.comment_texts.project_id is 'The project.';
comment on column public.comment_texts.body is 'The text, at most 65,536 bytes.';

create table public.comment_acts (
  project_id uuid not null,
  sequence bigint not null,
  comment_id uuid not null references public.comments,
  act public.comment_act not null,
  actor_id uuid not null references public.profiles,
  actor public.actor_kind not null,
  agent text,
  on_behalf_of uuid references public.profiles,
  created_at timestamptz not null default clock_timestamp(),
  primary key (project_id, sequence),
  constraint comment_acts_event_fkey foreign key (project_id, sequence) references public.events (project_id, sequence)
);
create index comment_acts_comment_idx on public.comment_acts (comment_id, sequence desc);
create unique index comment_acts_retract_key on public.comment_acts (comment_id) where act = 'retract';
create index comment_acts_actor_idx on public.comment_acts (actor_id);
create index comment_acts_on_behalf_of_idx on public.comment_acts (on_behalf_of) where on_behalf_of is not null;
alter table public.comment_acts enable row level security;

comment on table public.comment_acts is 'What happened to comments: threads resolved and opened again, comments retracted.';
comment on column public.comment_acts.project_id is 'The project.';
comment on column public.comment_acts.sequence is 'The number of its event.';
comment on column public.comment_acts.comment_id is 'The comment; for resolve and reopen the first of its thread.';
comment on column public.comment_acts.act is 'What happened.';
comment on column public.comment_acts.actor_id is 'The account that did it.';
comment on column public.comment_acts.actor is 'A person or an agent.';
comment on column public.comment_acts.agent is 'The agent''s name, when an agent did it.';
comment on column public.comment_acts.on_behalf_of is 'For whom that agent acted.';
comment on column public.comment_acts.created_at is 'When.';

create table public.reviews (
  id uuid primary key,
  project_id uuid not null,
  sequence bigint not null,
  version public.sha256_hex not null references public.versions,
  reviewer_id uuid not null references public.profiles,
  actor public.actor_kind not null,
  agent text,
  on_behalf_of uuid references public.profiles,
  verdict public.review_verdict not null,
  comment_id uuid references public.comments,
  idempotency_key text constraint reviews_idempotency_key_length check (char_length(idempotency_key) between 1 and 255),
  created_at timestamptz not null default clock_timestamp(),
  constraint reviews_event_key unique (project_id, sequence),
  constraint reviews_event_fkey foreign key (project_id, sequence) references public.events (project_id, sequence)
);
create index reviews_standing_idx on public.reviews (version, reviewer_id, sequence desc);
create index reviews_version_idx on public.reviews (version, sequence desc);
create index reviews_reviewer_idx on public.reviews (reviewer_id);
create index reviews_comment_idx on public.reviews (comment_id);
create index reviews_on_behalf_of_idx on public.reviews (on_behalf_of) where on_behalf_of is not null;
create unique index reviews_idempotency_key on public.reviews (project_id, reviewer_id, idempotency_key)
  where idempotency_key is not null;
alter table public.reviews enable row level security;

comment on table public.reviews is 'Verdicts on versions. The newest one of each reviewer counts.';
comment on column public.reviews.id is 'Stable id.';
comment on column public.reviews.project_id is 'The project.';
comment on column public.reviews.sequence is 'The number of its event: its place in the project''s order.';
comment on column public.reviews.version is 'The version.';
comment on column public.reviews.reviewer_id is 'The account that gave it.';
comment on column public.reviews.actor is 'A person or an agent.';
comment on column public.reviews.agent is 'The agent''s name, when an agent gave it.';
comment on column public.reviews.on_behalf_of is 'For whom that agent acted.';
comment on column public.reviews.verdict is 'The verdict.';
comment on column public.reviews.comment_id is 'The comment that gives its reasons, or null.';
comment on column public.reviews.idempotency_key is 'The key under which a repeated request writes once.';
comment on column public.reviews.created_at is 'When.';

create policy "members read the comments of their projects" on public.comments
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read what happened to comments of their projects" on public.comment_acts
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the reviews of their projects" on public.reviews
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read what comments of their projects say, until they are retracted" on public.comment_texts
  for select to authenticated using (
    (project_id = any (array(select m.project_id from private.my_memberships m))) is true
    and not exists (select from public.comment_acts a where a.comment_id = comment_texts.comment_id and a.act = 'retract'));
revoke all on public.comments, public.comment_texts, public.comment_acts, public.reviews from anon, authenticated, service_role;
grant select on public.comments, public.comment_texts, public.comment_acts, public.reviews to authenticated, service_role;

create trigger comments_are_history before update or delete on public.comments
  for each row execute function private.refuse_rewrite();
create trigger comments_are_kept before truncate on public.comments
  for each statement execute function private.refuse_rewrite();
create trigger comment_texts_are_history before update or delete on public.comment_texts
  for each row execute function private.refuse_rewrite();
create trigger comment_texts_are_kept before truncate on public.comment_texts
  for each statement execute function private.refuse_rewrite();
create trigger comment_acts_are_history before update or delete on public.comment_acts
  for each row execute function private.refuse_rewrite();
create trigger comment_acts_are_kept before truncate on public.comment_acts
  for each statement execute function private.refuse_rewrite();
create trigger reviews_are_history before update or delete on public.reviews
  for each row execute function private.refuse_rewrite();
create trigger reviews_are_kept before truncate on public.reviews
  for each statement execute function private.refuse_rewrite();

-- A trigger, so that no function and no role gets around it. An agent has an account of its own, so whoever
-- asked it to write may approve; the account that wrote may not, whatever its token says that it is. The other way
-- round it is nobody else's look: an agent approves nothing of the person for whom it acts, nor of their other agents.
create function private.refuse_own_approval()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.verdict = 'approve' and exists (
    select from public.versions v
    join public.changes c on c.project_id = v.project_id and c.sequence = v.change_sequence
    left join public.agents a on a.account_id = new.reviewer_id and a.project_id = v.project_id
    where v.hash = new.version and (
      new.reviewer_id in (c.author_id, c.attributed_to) or a.acts_for in (c.author_id, c.attributed_to, c.on_behalf_of))) then
    perform private.fail(403, 'own_version',
      'You, or whoever you act for, wrote this version, so somebody else has to approve it.',
      jsonb_build_object('version', new.version));
  end if;
  return new;
end
$$;
comment on function private.refuse_own_approval is 'Refuses the approval of a version by the account that wrote it, and by an agent of the person who did.';
create trigger refuse_own_approval before insert on public.reviews
  for each row execute function private.refuse_own_approval();

-- What counts -----------------------------------------------------------------------------------

-- Verdicts of those who left or became readers stay in history and count no more, neither way: otherwise
-- somebody who is gone could block a version for ever, or vouch for it after being sent away.
create function private.standing_reviews(versions text[])
returns table (id uuid, version text, verdict public.review_verdict)
language sql stable
set search_path = ''
as $$
  select s.id, s.version::text, s.verdict
  from (select distinct on (r.version, r.reviewer_id) r.id, r.version, r.project_id, r.reviewer_id, r.verdict
        from public.reviews r where r.version = any (standing_reviews.versions)
        order by r.version, r.reviewer_id, r.sequence desc) s
  join public.members m on m.user_id = s.reviewer_id and m.project_id = s.project_id and m.role >= 'reviewer'
  where s.verdict <> 'withdraw'
$$;
comment on function private.standing_reviews is 'The reviews of versions that count: the newest of each reviewer who still is one.';
grant execute on function private.standing_reviews to authenticated;

-- For many versions at once: one by one, a tag on a project of 5,000 documents took two seconds.
create function private.review_state(versions text[])
returns table (version text, state text)
language sql stable
set search_path = ''
as $$
  select u.version, case when bool_or(r.verdict = 'request_changes') then 'changes_requested'
                         when bool_or(r.verdict = 'approve') then 'approved' else 'pending' end
  from unnest(review_state.versions) u (version)
  left join private.standing_reviews(review_state.versions) r on r.version = u.version
  group by u.version
$$;
comment on function private.review_state is
  'approved, when somebody approves a version and nobody requests changes; changes_requested; else pending.';
grant execute on function private.review_state to authenticated;

create function private.unapproved(versions text[])
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_agg(to_jsonb(l) order by l.path)
  from (select v.document_id as document, v.number, v.path, v.hash as version, j.state
        from private.review_state(unapproved.versions) j join public.versions v on v.hash = j.version
        where j.state <> 'approved' order by v.path limit 20) l
$$;
comment on function private.unapproved is '[{document, number, path, version, state}]: up to 20 of these versions that are not approved; null when all are.';

create function private.require_approval()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  named text[] := array[new.version];
  lacking jsonb;
begin
  if not (select p.tags_need_approval from public.projects p where p.id = new.project_id) then
    return new;
  end if;
  if new.version is null then
    named := array(
      -- From path to path by index, as list_tree does: the cost is that of the tree, not of its history.
      with recursive walk (path) as (
        (select t.path::text from public.tree_entries t where t.project_id = new.project_id order by t.path limit 1)
        union all
        select (select t.path::text from public.tree_entries t
                where t.project_id = new.project_id and t.path > w.path order by t.path limit 1)
        from walk w where w.path is not null
      )
      select e.version
      from (select (select t.version::text from public.tree_entries t
                    where t.project_id = new.project_id and t.path = w.path and t.sequence <= new.change_sequence
                    order by t.sequence desc limit 1) as version
            from walk w where w.path is not null) e
      where e.version is not null);
  end if;
  lacking := private.unapproved(named);
  if lacking is not null then
    perform private.fail(409, 'approval_needed',
      'Tags of this project need an approval of every version that they name, and no open request for changes. Ask a reviewer.',
      jsonb_build_object('versions', lacking));
  end if;
  return new;
end
$$;
comment on function private.require_approval is
  'Refuses a tag that names an unapproved version, in projects with that rule; its detail has up to 20 of them.';
create trigger require_approval before insert on public.tags
  for each row execute function private.require_approval();

-- Completion asks the documents as they are now: a session's, or those of one of its stages. Verdicts and
-- completions are written under the project's lock, so that no request for changes slips in between.
create function private.require_stage_approval(project uuid, session uuid, stage public.stage default null)
returns void
language plpgsql stable
set search_path = ''
as $$
declare
  lacking jsonb;
begin
  if not (select p.completion_needs_approval from public.projects p where p.id = project) then
    return;
  end if;
  lacking := private.unapproved(array(
    select d.head::text from public.documents d
    where d.project_id = project and d.session_id = session and d.live
      and case when require_stage_approval.stage is null then d.stage is not null else d.stage = require_stage_approval.stage end));
  if lacking is not null then
    perform private.fail(409, 'approval_needed',
      'To be complete, this needs an approval of every stage document''s newest version, and no open request for changes. Ask a reviewer.',
      jsonb_build_object('versions', lacking));
  end if;
end
$$;
comment on function private.require_stage_approval is
  'Refuses what completes a session (or one stage of it) while one of its live stage documents is unapproved, in projects with that rule; its detail has up to 20 of them.';

create function private.require_completion_approval()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.status <> 'complete' then
    return new;
  elsif tg_op = 'UPDATE' then
    if old.status <> 'complete' then
      perform private.require_stage_approval(new.project_id, new.id);
    end if;
    return new;
  end if;
  -- A session takes in the documents below its root after it was made: one that is complete from the start would
  -- complete them unseen.
  if (select p.completion_needs_approval from public.projects p where p.id = new.project_id)
    and exists (
      select from public.documents d
      where d.project_id = new.project_id and d.live and d.path > new.root || '/' and d.path < new.root || '0'
        and private.stage_of(d.path, new.root) is not null) then
    perform private.fail(409, 'approval_needed',
      'There are stage documents below this root, and completing them needs an approval. Start the session, have them approved, then complete it.',
      jsonb_build_object('versions', '[]'::jsonb));
  end if;
  return new;
end
$$;
comment on function private.require_completion_approval is
  'Refuses a session that becomes complete with unapproved stage documents, in projects with that rule.';
create trigger require_completion_approval before insert or update of status on public.sessions
  for each row execute function private.require_completion_approval();

create function private.set_rules(
  project uuid, tags_need_approval boolean, completion_needs_approval boolean default null,
  completion_needs_document boolean default null, completion_needs_validation boolean default null)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects := private.lock_project(project, 'owner');
  asked jsonb := jsonb_strip_nulls(jsonb_build_object(
    'tags_need_approval', tags_need_approval, 'completion_needs_approval', completion_needs_approval,
    'completion_needs_document', completion_needs_document, 'completion_needs_validation', completion_needs_validation));
  changed jsonb;
begin
  select coalesce(jsonb_object_agg(a.key, a.value), '{}') into changed
  from jsonb_each(asked) a where a.value is distinct from to_jsonb(held) -> a.key;
  if changed <> '{}' then
    update public.projects p set
      tags_need_approval = coalesce(set_rules.tags_need_approval, p.tags_need_approval),
      completion_needs_approval = coalesce(set_rules.completion_needs_approval, p.completion_needs_approval),
      completion_needs_document = coalesce(set_rules.completion_needs_document, p.completion_needs_document),
      completion_needs_validation = coalesce(set_rules.completion_needs_validation, p.completion_needs_validation)
    where p.id = project;
    perform private.add_event(project, 'project.rules_set', changed);
  end if;
end
$$;
comment on function private.set_rules is 'Sets the rules of a project; owners only.';
grant execute on function private.set_rules to authenticated;

create function public.read_rules(project text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    select jsonb_build_object('tags_need_approval', p.tags_need_approval, 'completion_needs_approval', p.completion_needs_approval,
      'completion_needs_document', p.completion_needs_document, 'completion_needs_validation', p.completion_needs_validation)
    from public.projects p where p.id = target);
end
$$;
comment on function public.read_rules is 'The rules of a project.';
revoke execute on function public.read_rules from public, anon, service_role;
grant execute on function public.read_rules to authenticated;

create function public.set_rules(
  project text, tags_need_approval boolean default null, completion_needs_approval boolean default null,
  completion_needs_document boolean default null, completion_needs_validation boolean default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.set_rules(
    target, tags_need_approval, completion_needs_approval, completion_needs_document, completion_needs_validation);
  return public.read_rules(target::text);
end
$$;
comment on function public.set_rules is 'Sets the rules of a project; null leaves a rule as it is.';
revoke execute on function public.set_rules from public, anon, service_role;
grant execute on function public.set_rules to authenticated;

-- Where things are ------------------------------------------------------------------------------
-- These two run with their caller's rights, under row security. They are for exposed functions only.

create function private.version_project(version text)
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  home uuid;
begin
  select v.project_id into home from public.versions v where v.hash = version;
  if home is null then
    perform private.fail(404, 'version_not_found', 'There is no such version, or you are not a member of its project.');
  end if;
  return home;
end
$$;
comment on function private.version_project is 'The project of a version that the caller may see; 404 otherwise.';
grant execute on function private.version_project to authenticated;

create function private.comment_project(comment uuid)
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  home uuid;
begin
  select c.project_id into home from public.comments c where c.id = comment;
  if home is null then
    perform private.fail(404, 'comment_not_found', 'There is no such comment, or you are not a member of its project.');
  end if;
  return home;
end
$$;
comment on function private.comment_project is 'The project of a comment that the caller may see; 404 otherwise.';
grant execute on function private.comment_project to authenticated;

-- Comments --------------------------------------------------------------------------------------

create view public.comment_details with (security_invoker = true) as
  select c.id, c.project_id as project, c.document_id as document, c.version, v.number, r.id as thread, c.sequence,
         coalesce(to_jsonb(p), jsonb_build_object('id', c.author_id)) as author, c.actor, c.agent, t.body, c.created_at,
         r.side, r.first_line, r.last_line, coalesce(s.act = 'resolve', false) as resolved, x.created_at as retracted_at,
         case when c.on_behalf_of is not null then coalesce(
           (select to_jsonb(o) from public.people o where o.id = c.on_behalf_of), jsonb_build_object('id', c.on_behalf_of))
         end as on_behalf_of,
         case when s.act = 'resolve' then jsonb_build_object(
           'person', coalesce((select to_jsonb(o) from public.people o where o.id = s.actor_id), jsonb_build_object('id', s.actor_id)),
           'actor', s.actor, 'agent', s.agent,
           'on_behalf_of', case when s.on_behalf_of is not null then coalesce(
             (select to_jsonb(o) from public.people o where o.id = s.on_behalf_of), jsonb_build_object('id', s.on_behalf_of)) end,
           'at', s.created_at) end as resolution
  from public.comments c
  join public.comments r on r.id = c.thread_id
  join public.versions v on v.hash = c.version
  left join public.comment_texts t on t.comment_id = c.id
  left join public.people p on p.id = c.author_id
  left join public.comment_acts x on x.comment_id = c.id and x.act = 'retract'
  left join lateral (
    select a.act, a.actor_id, a.actor, a.agent, a.on_behalf_of, a.created_at from public.comment_acts a
    where a.comment_id = r.id and a.act in ('resolve', 'reopen') order by a.sequence desc limit 1) s on true;
comment on view public.comment_details is 'Comments as answers show them: a reply has the lines and the state of its thread.';
revoke all on public.comment_details from anon, authenticated, service_role;
grant select on public.comment_details to authenticated;

create function private.refuse_reused_key()
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail(409, 'idempotency_key_reused',
    'This Idempotency-Key was used for something else. Use a new key for a new comment or review.');
end
$$;
comment on function private.refuse_reused_key is 'Refuses a key under which something else was written.';

-- Call it with the project's lock held.
create function private.write_comment(
  project uuid, version text, thread uuid, body text, side public.comment_side, first_line integer, last_line integer,
  idempotency_key text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  made uuid := gen_random_uuid();
  -- A variable, so that a plan made for somebody who wrote little isn't kept for who wrote most of them.
  caller uuid := auth.uid();
  prior record;
  v public.versions;
begin
  if idempotency_key is not null then
    select c.id, (c.version, nullif(c.thread_id, c.id), c.side, c.first_line, c.last_line, t.body)
                 is not distinct from (write_comment.version, thread, write_comment.side, write_comment.first_line,
                   write_comment.last_line, write_comment.body) as same into prior
    from public.comments c join public.comment_texts t on t.comment_id = c.id
    where c.project_id = project and c.author_id = caller and c.idempotency_key = write_comment.idempotency_key;
    if prior.same then
      return prior.id;
    elsif prior.id is not null then
      perform private.refuse_reused_key();
    end if;
  end if;
  if octet_length(coalesce(body, '')) > 65536 then
    perform private.fail(422, 'comment_too_long', 'A comment has at most 65,536 bytes. Put longer texts into a document.');
  elsif coalesce(body, '') !~ '[^[:space:]]' then
    perform private.fail(422, 'comment_empty', 'A comment says something: send a body.');
  end if;
  select * into v from public.versions x where x.hash = version and x.project_id = project;
  if v.hash is null then
    perform private.fail(404, 'version_not_found', 'There is no such version, or you are not a member of its project.');
  elsif num_nonnulls(side, first_line, last_line) not in (0, 3) or first_line < 1 or last_line < first_line then
    perform private.fail(422, 'bad_lines', 'Lines have a side, a first and a last one, counted from 1.');
  elsif side = 'old' and v.parent is null or side = 'new' and v.sha256 is null then
    perform private.fail(422, 'bad_lines', case side
      when 'old' then 'This is the document''s first version: there are no old lines. Use side new.'
      else 'This version is a delete: it has no lines of its own. Use side old.' end);
  end if;
  perform private.add_event(project, 'comment.added', jsonb_build_object(
    'comment', made, 'thread', coalesce(thread, made), 'document', v.document_id, 'version', v.hash, 'number', v.number));
  insert into public.comments (id, project_id, sequence, document_id, version, thread_id, author_id, actor, agent,
    on_behalf_of, side, first_line, last_line, idempotency_key)
  select made, project, p.event_sequence, v.document_id, v.hash, coalesce(thread, made), auth.uid(), a.kind, a.agent,
    private.on_behalf_of(project), side, first_line, last_line, idempotency_key
  from public.projects p, private.actor() a where p.id = project;
  insert into public.comment_texts (comment_id, project_id, body) values (made, project, write_comment.body);
  return made;
end
$$;
comment on function private.write_comment is 'Checks and writes a comment and its event; the same one again under the same key is written once.';

create function private.create_comment(
  project uuid, version text, body text, side public.comment_side, first_line integer, last_line integer, idempotency_key text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
begin
  perform private.lock_project(project, 'reviewer');
  return private.write_comment(project, version, null, body, side, first_line, last_line, idempotency_key);
end
$$;
comment on function private.create_comment is 'Starts a thread on a version; reviewers.';
grant execute on function private.create_comment to authenticated;

create function public.read_comment(comment uuid)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  home uuid := private.comment_project(comment);
begin
  return (select to_jsonb(d) from public.comment_details d where d.id = comment);
end
$$;
comment on function public.read_comment is 'One comment.';
revoke execute on function public.read_comment from public, anon, service_role;
grant execute on function public.read_comment to authenticated;

create function public.create_comment(
  version text, body text, side public.comment_side default null, first_line integer default null, last_line integer default null,
  idempotency_key text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- Apart from reading it: a stable function sees nothing that its own statement wrote.
  made uuid := private.create_comment(
    private.version_project(version), version, body, side, first_line, last_line, idempotency_key);
begin
  return public.read_comment(made);
end
$$;
comment on function public.create_comment is 'Starts a thread on lines of a version, or on all of it.';
revoke execute on function public.create_comment from public, anon, service_role;
grant execute on function public.create_comment to authenticated;

create function private.reply(project uuid, comment uuid, body text, idempotency_key text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  first public.comments;
begin
  perform private.lock_project(project, 'reviewer');
  select r.* into first from public.comments c join public.comments r on r.id = c.thread_id
  where c.id = comment and c.project_id = project;
  if first.id is null then
    perform private.fail(404, 'comment_not_found', 'There is no such comment, or you are not a member of its project.');
  end if;
  return private.write_comment(project, first.version, first.id, body, null, null, null, idempotency_key);
end
$$;
comment on function private.reply is 'Adds to a thread; reviewers.';
grant execute on function private.reply to authenticated;

create function public.reply(comment uuid, body text, idempotency_key text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  made uuid := private.reply(private.comment_project(comment), comment, body, idempotency_key);
begin
  return public.read_comment(made);
end
$$;
comment on function public.reply is 'Replies to a comment; a reply to a reply goes to the same thread.';
revoke execute on function public.reply from public, anon, service_role;
grant execute on function public.reply to authenticated;

create function private.act_on_comment(project uuid, comment uuid, act public.comment_act)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  target public.comments;
  newest public.comment_act;
begin
  -- Whoever became a reader may still take back what they said.
  perform private.lock_project(project, case when act = 'retract' then 'reader' else 'reviewer' end::public.member_role);
  select c.* into target from public.comments c where c.id = comment and c.project_id = project;
  if act is null or target.id is null then
    perform private.fail(404, 'comment_not_found', 'There is no such comment, or you are not a member of its project.');
  end if;
  if act = 'retract' then
    if target.author_id <> auth.uid() then
      perform private.fail(403, 'not_the_author', 'A comment is retracted by who wrote it. Resolve its thread instead.');
    end if;
    if exists (select from public.comment_acts a where a.comment_id = target.id and a.act = 'retract') then
      return;
    end if;
  else
    target.id := target.thread_id;
    select a.act into newest from public.comment_acts a
    where a.comment_id = target.id and a.act in ('resolve', 'reopen') order by a.sequence desc limit 1;
    if act = coalesce(newest, 'reopen') then
      return;
    end if;
  end if;
  perform private.add_event(project,
    case act when 'resolve' then 'comment.resolved' when 'reopen' then 'comment.reopened' else 'comment.retracted' end,
    jsonb_build_object('comment', target.id, 'document', target.document_id, 'version', target.version));
  insert into public.comment_acts (project_id, sequence, comment_id, act, actor_id, actor, agent, on_behalf_of)
  select project, p.event_sequence, target.id, act_on_comment.act, auth.uid(), a.kind, a.agent, private.on_behalf_of(project)
  from public.projects p, private.actor() a where p.id = project;
end
$$;
comment on function private.act_on_comment is 'Resolves or reopens a thread (reviewers), or retracts a comment (its author). Twice is once.';
grant execute on function private.act_on_comment to authenticated;

create function public.act_on_comment(comment uuid, act public.comment_act)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform private.act_on_comment(private.comment_project(comment), comment, act);
  return public.read_comment(comment);
end
$$;
comment on function public.act_on_comment is 'Resolves or reopens the thread of a comment, or retracts the comment.';
revoke execute on function public.act_on_comment from public, anon, service_role;
grant execute on function public.act_on_comment to authenticated;

create function public.list_comments(version text, seen bigint default 0, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  home uuid := private.version_project(version);
  page uuid[];
begin
  page := array(
    select c.id from public.comments c
    where c.version = list_comments.version and c.sequence > seen order by c.sequence limit private.page_rows(page_size));
  return (select coalesce(jsonb_agg(to_jsonb(d) order by d.sequence), '[]') from public.comment_details d where d.id = any (page));
end
$$;
comment on function public.list_comments is 'The comments made on a version, oldest first; seen is the sequence of the last one seen.';
revoke execute on function public.list_comments from public, anon, service_role;
grant execute on function public.list_comments to authenticated;

-- With its owner's rights, and the caller asked once: where nearly all is resolved, what isn't is found by a look at each.
create function private.comment_page(document uuid, resolved boolean, seen bigint, size integer)
returns uuid[]
language plpgsql stable security definer
set search_path = ''
as $$
begin
  if not exists (
    select from public.documents d join private.my_memberships m on m.project_id = d.project_id where d.id = comment_page.document) then
    return '{}';
  end if;
  return array(
    select c.id from public.comments c
    where c.document_id = comment_page.document and c.sequence > seen
      and (comment_page.resolved is null or comment_page.resolved = coalesce((
        select a.act = 'resolve' from public.comment_acts a
        where a.comment_id = c.thread_id and a.act in ('resolve', 'reopen')
        order by a.sequence desc limit 1), false))
    order by c.sequence limit size);
end
$$;
comment on function private.comment_page is 'The ids of a page of the comments on a document of the caller''s.';
grant execute on function private.comment_page to authenticated;

create function public.list_document_comments(
  document uuid, at text default null, resolved boolean default null, seen bigint default 0, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  asked text := private.version_at(document, at);
  page uuid[];
begin
  page := private.comment_page(document, resolved, seen, private.page_rows(page_size));
  if cardinality(page) = 0 then  -- most documents: half of the time goes into starting the queries below
    return jsonb_build_object('at', public.version_answer(asked), 'comments', '[]'::jsonb, 'sources', '[]'::jsonb);
  end if;
  return jsonb_build_object(
    'at', public.version_answer(asked),
    'comments', (
      -- The lines of the old side are those of the version before.
      select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object('source', case d.side when 'old' then v.parent when 'new' then v.hash end)
                                order by d.sequence), '[]')
      from public.comment_details d join public.versions v on v.hash = d.version where d.id = any (page)),
    'sources', (
      select coalesce(jsonb_agg(public.version_answer(s.version)), '[]') from (
        select distinct case r.side when 'old' then v.parent else v.hash end as version
        from public.comments c
        join public.comments r on r.id = c.thread_id
        join public.versions v on v.hash = r.version
        where c.id = any (page) and r.side is not null) s));
end
$$;
comment on function public.list_document_comments is
  '{at, comments, sources}: all comments on a document, oldest first, with the version to show them on and those that their lines are of.';
revoke execute on function public.list_document_comments from public, anon, service_role;
grant execute on function public.list_document_comments to authenticated;

-- Reviews ---------------------------------------------------------------------------------------

create view public.review_details with (security_invoker = true) as
  select r.id, r.project_id as project, r.version, v.document_id as document, v.number, r.sequence,
         coalesce(to_jsonb(p), jsonb_build_object('id', r.reviewer_id)) as reviewer, r.actor, r.agent, r.verdict,
         r.comment_id as comment, t.body, r.created_at,
         case when r.on_behalf_of is not null then coalesce(
           (select to_jsonb(o) from public.people o where o.id = r.on_behalf_of), jsonb_build_object('id', r.on_behalf_of))
         end as on_behalf_of
  from public.reviews r
  join public.versions v on v.hash = r.version
  left join public.people p on p.id = r.reviewer_id
  left join public.comment_texts t on t.comment_id = r.comment_id;
comment on view public.review_details is 'Reviews with their reviewers and reasons, as answers show them.';
revoke all on public.review_details from anon, authenticated, service_role;
grant select on public.review_details to authenticated;

create function private.create_review(
  project uuid, version text, verdict public.review_verdict, body text, idempotency_key text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  made uuid := gen_random_uuid();
  caller uuid := auth.uid();  -- a variable for the plan's sake, as in write_comment
  reasons uuid;
  prior record;
  v public.versions;
begin
  perform private.lock_project(project, 'reviewer');
  if idempotency_key is not null then
    select r.id, (r.version, r.verdict, coalesce(t.body, ''))
                 is not distinct from (create_review.version, create_review.verdict, coalesce(create_review.body, '')) as same into prior
    from public.reviews r left join public.comment_texts t on t.comment_id = r.comment_id
    where r.project_id = project and r.reviewer_id = caller and r.idempotency_key = create_review.idempotency_key;
    if prior.same then
      return prior.id;
    elsif prior.id is not null then
      perform private.refuse_reused_key();
    end if;
  end if;
  select * into v from public.versions x where x.hash = version and x.project_id = project;
  if v.hash is null then
    perform private.fail(404, 'version_not_found', 'There is no such version, or you are not a member of its project.');
  elsif verdict is null then
    perform private.fail(422, 'bad_value', 'A verdict is approve, request_changes or withdraw.');
  end if;
  if coalesce(body, '') <> '' then
    reasons := private.write_comment(project, version, null, body, null, null, null, null);
  end if;
  perform private.add_event(project, 'review.added', jsonb_build_object(
    'review', made, 'verdict', verdict, 'document', v.document_id, 'version', v.hash, 'number', v.number));
  insert into public.reviews (id, project_id, sequence, version, reviewer_id, actor, agent, on_behalf_of, verdict,
    comment_id, idempotency_key)
  select made, project, p.event_sequence, v.hash, auth.uid(), a.kind, a.agent, private.on_behalf_of(project), create_review.verdict, reasons, idempotency_key
  from public.projects p, private.actor() a where p.id = project;
  return made;
end
$$;
comment on function private.create_review is 'Gives a verdict on a version, and a comment with its reasons; reviewers.';
grant execute on function private.create_review to authenticated;

create function public.create_review(
  version text, verdict public.review_verdict, body text default '', idempotency_key text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  made uuid := private.create_review(private.version_project(version), version, verdict, body, idempotency_key);
begin
  return (select to_jsonb(d) || jsonb_build_object('counts', d.id in (select s.id from private.standing_reviews(array[create_review.version]) s)) from public.review_details d where d.id = made);
end
$$;
comment on function public.create_review is 'Gives a verdict on a version. It replaces the caller''s earlier one.';
revoke execute on function public.create_review from public, anon, service_role;
grant execute on function public.create_review to authenticated;

create function public.list_reviews(version text, before bigint default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  home uuid := private.version_project(version);
  below bigint := coalesce(before, 9223372036854775807);
  page uuid[];
begin
  page := array(
    select r.id from public.reviews r
    where r.version = list_reviews.version and r.sequence < below order by r.sequence desc limit private.page_rows(page_size));
  return jsonb_build_object('state', (select s.state from private.review_state(array[list_reviews.version]) s), 'reviews', (
    select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object('counts', d.id in (select s.id from private.standing_reviews(array[list_reviews.version]) s))
                              order by d.sequence desc), '[]')
    from public.review_details d where d.id = any (page)));
end
$$;
comment on function public.list_reviews is
  '{state, reviews}: what a version''s reviews come to, and its reviews, newest first; before is the sequence of the last one seen.';
revoke execute on function public.list_reviews from public, anon, service_role;
grant execute on function public.list_reviews to authenticated;

revoke execute on all functions in schema private from public;
