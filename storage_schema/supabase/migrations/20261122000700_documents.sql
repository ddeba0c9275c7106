-- Documents and their bytes. A document is a stable id; where it is and which version is its newest
-- are kept here, and everything it ever was is in `versions`.

insert into storage.buckets (id, name, public) values ('documents', 'documents', false)
on conflict (id) do update set public = false;

create table public.documents (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects,
  path public.document_path not null,
  live boolean not null,
  session_id uuid,
  stage public.stage,
  head public.sha256_hex not null,
  head_number integer not null constraint documents_head_number_positive check (head_number > 0),
  head_sequence bigint not null,
  created_at timestamptz not null default now(),
  constraint documents_session_fkey foreign key (project_id, session_id) references public.sessions (project_id, id)
) with (fillfactor = 80);
-- Two live documents never share a path; deleted ones may.
create unique index documents_live_path_key on public.documents (project_id, path) where live;
create index documents_deleted_path_idx on public.documents (project_id, path, head_sequence desc) where not live;
create index documents_session_idx on public.documents (project_id, session_id, stage);
alter table public.documents enable row level security;

comment on table public.documents is 'A stable id for something that has versions.';
comment on column public.documents.id is 'Stable id; survives moves, deletes and restores.';
comment on column public.documents.project_id is 'The project.';
comment on column public.documents.path is 'Where it is now, or where it was when deleted.';
comment on column public.documents.live is 'False once its newest version is a delete.';
comment on column public.documents.session_id is 'The session whose root is above the path, or null.';
comment on column public.documents.stage is 'The stage by the folder below the session''s root, or null.';
comment on column public.documents.head is 'Hash of the newest version: what a write must be based on.';
comment on column public.documents.head_number is 'Number of the newest version.';
comment on column public.documents.head_sequence is 'The change that wrote the newest version.';
comment on column public.documents.created_at is 'When it was first added.';

create policy "members read the documents of their projects" on public.documents
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.documents from anon, authenticated, service_role;
grant select on public.documents to authenticated, service_role;

-- Bytes. The same content may have more than one object: whoever may upload may also upload junk under
-- the name of content that they don't have, and the honest bytes, when they come, must still find a place.
-- A reader takes the first copy whose bytes have the hash, so junk can waste space but never replace anything.
create table public.blobs (
  object_id uuid primary key,
  project_id uuid not null references public.projects,
  sha256 public.sha256_hex not null,
  size bigint not null constraint blobs_size_positive check (size >= 0),
  name text not null,
  created_at timestamptz not null default now(),
  erased_at timestamptz,
  -- Erasing lets go of the object; nothing else does.
  held_object uuid generated always as (case when erased_at is null then object_id end) stored
    constraint blobs_held_object_fkey references storage.objects (id)
);
create index blobs_content_idx on public.blobs (project_id, sha256, created_at);
create index blobs_held_object_idx on public.blobs (held_object);
alter table public.blobs enable row level security;

comment on table public.blobs is 'Which object of the bucket holds which content. The foreign key keeps the object from being deleted.';
comment on column public.blobs.object_id is 'storage.objects.id.';
comment on column public.blobs.project_id is 'The project whose folder of the bucket the object is in.';
comment on column public.blobs.sha256 is 'What the bytes must hash to.';
comment on column public.blobs.size is 'Bytes.';
comment on column public.blobs.name is 'The object''s name in the bucket: <project id>/<sha256>, and a suffix on further copies.';
comment on column public.blobs.created_at is 'When a change first used it.';
comment on column public.blobs.erased_at is 'When its bytes were erased for legal reasons, or null.';
comment on column public.blobs.held_object is 'The object, as long as it must be there: null once its bytes were erased.';

create policy "members read the blobs of their projects" on public.blobs
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.blobs from anon, authenticated, service_role;
grant select on public.blobs to authenticated, service_role;
create trigger blobs_are_history before update or delete on public.blobs
  for each row execute function private.refuse_rewrite();
create trigger blobs_are_kept before truncate on public.blobs
  for each statement execute function private.refuse_rewrite();

-- The bucket. Members read their project's folder, editors add to it, nobody overwrites or deletes.
create policy "members read the objects of their projects" on storage.objects
  for select to authenticated using (
    bucket_id = 'documents'
    and (storage.foldername(name))[1] in (select p::text from private.my_projects() p)
  );
create policy "editors add objects to their open projects" on storage.objects
  for insert to authenticated with check (
    bucket_id = 'documents'
    and name ~ '^[0-9a-f-]{36}/[0-9a-f]{64}([.][0-9a-f]{32})?$'
    and (storage.foldername(name))[1] in (select p::text from private.my_open_projects('editor') p)
  );

-- Storage's own x-upsert: false is not atomic before the fix of 2026-09-15, and the service key ignores
-- policies. A second write of a name changes `version`: 23505 makes it a 409 for everyone.
create function private.refuse_overwrite()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if old.bucket_id = 'documents' and (
    new.bucket_id is distinct from old.bucket_id or new.name is distinct from old.name
    or new.id is distinct from old.id or new.version is distinct from old.version
    or new.metadata -> 'size' is distinct from old.metadata -> 'size'
  ) then
    raise exception using errcode = '23505',
      message = 'Objects of the bucket documents are never overwritten or renamed.';
  end if;
  if new.bucket_id = 'documents' and old.bucket_id <> 'documents' then
    raise exception using errcode = '23505', message = 'Objects are not moved into the bucket documents.';
  end if;
  return new;
end
$$;
comment on function private.refuse_overwrite is 'Keeps every object of the bucket as it was first written, for every role.';
create trigger verso_refuse_overwrite before update on storage.objects
  for each row execute function private.refuse_overwrite();

revoke execute on all functions in schema private from public;
