-- Search: contents as text, and an index of their words. A text is here only if it hashes to the content's own
-- SHA-256, so it doesn't matter who put it here. Contents that aren't here yet, aren't text or are too large are
-- counted, and answers say so.

create table public.texts (
  project_id uuid not null references public.projects,
  sha256 public.sha256_hex not null,
  body text not null
    constraint texts_length check (octet_length(body) <= 524288)
    constraint texts_proven check (encode(sha256(convert_to(body, 'UTF8')), 'hex') = sha256),
  tsv tsvector,
  primary key (project_id, sha256)
);
-- Written in the background: a short pending list, because every search reads all of it.
create index texts_tsv_idx on public.texts using gin (tsv) with (gin_pending_list_limit = 1024);
alter table public.texts enable row level security;

comment on table public.texts is 'Contents that are UTF-8 text of at most 512 KiB, for search. Proven by their hash, whoever brought them.';
comment on column public.texts.project_id is 'The project.';
comment on column public.texts.sha256 is 'SHA-256 of the text in UTF-8: the content that it is.';
comment on column public.texts.body is 'The text.';
comment on column public.texts.tsv is 'Its words, and one that names the project; null when they are more than an index entry takes.';

-- The words of what documents are now, apart, so that searching the latest doesn't wade through history.
-- Made from texts and documents and nothing else; a row whose version is no longer the head doesn't count.
create table public.head_texts (
  document_id uuid primary key references public.documents,
  project_id uuid not null,
  version public.sha256_hex not null,
  sha256 public.sha256_hex not null,
  tsv tsvector,
  constraint head_texts_text_fkey foreign key (project_id, sha256) references public.texts (project_id, sha256) on delete cascade
);
create index head_texts_text_idx on public.head_texts (project_id, sha256);
create index head_texts_version_idx on public.head_texts (project_id, document_id, version);
create index head_texts_tsv_idx on public.head_texts using gin (tsv) with (gin_pending_list_limit = 1024);
alter table public.head_texts enable row level security;

comment on table public.head_texts is 'The words of documents as they are now. Made from texts; may lag behind, which search notices and mends.';
comment on column public.head_texts.document_id is 'The document.';
comment on column public.head_texts.project_id is 'The project.';
comment on column public.head_texts.version is 'The version whose words these are; only the document''s head counts.';
comment on column public.head_texts.sha256 is 'Its content.';
comment on column public.head_texts.tsv is 'As in texts.';

create policy "members read the texts of their projects" on public.texts
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the words of their projects' documents" on public.head_texts
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.texts, public.head_texts from anon, authenticated, service_role;
grant select on public.texts, public.head_texts to authenticated, service_role;

-- Bytes that were erased for legal reasons must not live on here: that is the one way out.
create function private.keep_text()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' and not exists (
    select from public.blobs b where b.project_id = old.project_id and b.sha256 = old.sha256 and b.erased_at is null) then
    return old;
  end if;
  perform private.fail(403, 'immutable', 'Texts are what their hash says and never change. They go when their content is erased.');
  return null;
end
$$;
comment on function private.keep_text is 'Refuses changes of texts, and deletes unless the content was erased.';
create trigger texts_are_kept before update or delete on public.texts
  for each row execute function private.keep_text();
create trigger texts_are_not_emptied before truncate on public.texts
  for each statement execute function private.keep_text();

-- The project is a word like others, so that the index finds a project's texts and no one else's.
-- It has a blank in it, which no word of a text has.
create function private.project_word(project uuid)
returns text
language sql immutable
set search_path = ''
as $$ select 'in ' || project $$;
comment on function private.project_word is 'The word that stands for the project in the index.';

create function private.words_of(project uuid, body text)
returns tsvector
language plpgsql immutable
set search_path = ''
as $$
begin
  return to_tsvector('pg_catalog.english', body) || array_to_tsvector(array[private.project_word(project)]);
exception when program_limit_exceeded then
  return null;
end
$$;
comment on function private.words_of is 'A text''s words for the index; null when they are more than PostgreSQL takes.';

create function private.refresh_heads(project uuid, documents uuid[])
returns void
language sql
set search_path = ''
as $$
  insert into public.head_texts as h (document_id, project_id, version, sha256, tsv)
  select d.id, d.project_id, d.head, t.sha256, t.tsv
  from public.documents d
  join public.versions v on v.hash = d.head
  join public.texts t on t.project_id = d.project_id and t.sha256 = v.sha256
  left join public.head_texts k on k.document_id = d.id
  where d.project_id = project and d.live and k.version is distinct from d.head
    and (documents is null or d.id = any (documents))
  limit 1000
  on conflict (document_id) do update set version = excluded.version, sha256 = excluded.sha256, tsv = excluded.tsv
$$;
comment on function private.refresh_heads is 'Brings the words of documents up to their heads, as far as texts are there.';

create function private.store_texts(project uuid, items jsonb, documents uuid[])
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  stored integer;
begin
  perform private.require_role(project, 'reader');
  if coalesce(jsonb_typeof(items), 'null') <> 'array' or jsonb_array_length(items) > 500 then
    perform private.fail(422, 'bad_text', 'Texts come as a list of at most 500.');
  end if;
  if exists (
    select from jsonb_array_elements(items) e (value)
    where jsonb_typeof(e.value) <> 'object' or jsonb_typeof(e.value -> 'body') is distinct from 'string'
      or octet_length(e.value ->> 'body') > 524288
      or encode(sha256(convert_to(e.value ->> 'body', 'UTF8')), 'hex') is distinct from e.value ->> 'sha256') then
    perform private.fail(422, 'bad_text', 'A text is what its SHA-256 says, and at most 524,288 bytes.');
  end if;
  insert into public.texts (project_id, sha256, body, tsv)
  select project, w.sha256, w.body, private.words_of(project, w.body)
  from (
    select distinct on (e.value ->> 'sha256') e.value ->> 'sha256' as sha256, e.value ->> 'body' as body
    from jsonb_array_elements(items) e (value)) w
  where exists (
      select from public.blobs b where b.project_id = project and b.sha256 = w.sha256 and b.erased_at is null)
    and not exists (select from public.texts t where t.project_id = project and t.sha256 = w.sha256)
  order by w.sha256
  on conflict do nothing;
  get diagnostics stored = row_count;
  perform private.refresh_heads(project, documents);
  return stored;
end
$$;
comment on function private.store_texts is 'Takes in texts of contents that the project has, and brings the words of documents up to their heads.';
grant execute on function private.store_texts to authenticated;

create function public.store_texts(project text, items jsonb, documents uuid[] default null)
returns jsonb
language sql
set search_path = ''
as $$ select jsonb_build_object('stored', private.store_texts(private.project_id(project), items, documents)) $$;
comment on function public.store_texts is
  'Takes in texts for search: [{sha256, body}] of contents that the project has; then brings these documents'' words (all documents'', unless said) up to their heads.';

-- Row security may not look into an index by words, because @@ could leak: so the search itself runs with its
-- owner's rights, asks for the role first, and gives hashes only.
create function private.search_versions(
  project uuid, query tsquery, latest boolean, prefix text, author uuid, above bigint, below bigint, below_position integer, page_size integer)
returns text[]
language plpgsql stable security definer
set search_path = ''
as $$
declare
  wanted tsquery := query && quote_literal(private.project_word(project))::tsquery;
  page integer := private.page_rows(page_size);
  -- Whoever imported a change is not its author.
  theirs bigint[] := array(
    select c.sequence from public.changes c
    where c.project_id = project and c.author_id = search_versions.author and c.origin_id is null
    union all
    select c.sequence from public.changes c
    where c.project_id = project and c.attributed_to = search_versions.author and c.origin_id is not null);
begin
  perform private.require_role(project, 'reader');
  if latest then
    return array(
      with found as materialized (
        select d.head, d.head_sequence from public.head_texts h
        join public.documents d on d.id = h.document_id and d.live and d.head = h.version
        where h.tsv @@ wanted and h.project_id = project and d.path ^@ prefix
          and d.head_sequence > above and d.head_sequence <= below
          and (search_versions.author is null or d.head_sequence in (select u from unnest(theirs) u))
      )
      -- A common word is in every document: they are cut to the page's changes before their versions are looked at.
      select v.hash from found f cross join lateral (select * from public.versions x where x.hash = f.head offset 0) v
      where f.head_sequence >= coalesce((
          select e.head_sequence from found e where e.head_sequence < below order by e.head_sequence desc offset page - 1 limit 1), 0)
        and (v.change_sequence, -v.position) < (below, -below_position)
      order by v.change_sequence desc, v.position limit page);
  end if;
  return array(
    select v.hash from public.texts t
    join public.blobs b on b.project_id = t.project_id and b.sha256 = t.sha256
    join public.versions v on v.object_id = b.object_id
    where t.tsv @@ wanted and t.project_id = project and v.path ^@ prefix
      and v.change_sequence > above and (v.change_sequence, -v.position) < (below, -below_position)
      and (search_versions.author is null or v.change_sequence in (select u from unnest(theirs) u))
    order by v.change_sequence desc, v.position limit page);
end
$$;
comment on function private.search_versions is 'Hashes of the versions that match, newest first: of heads only, or of all.';
grant execute on function private.search_versions to authenticated;

-- Contents that a search can't see, by reason. Of the latest it costs what the project has documents.
create function private.unsearched(project uuid, latest boolean, prefix text, not_text text[])
returns table (sha256 text, size bigint, object_id uuid, reason text)
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'reader');
  return query
    select distinct on (c.sha256) c.sha256::text, c.size, c.object_id, case
        when c.size > 524288 or c.no_words then 'too_large'
        when c.sha256 = any (not_text) then 'not_text'
        else 'not_indexed' end
    from (
      select v.sha256, v.size, v.object_id, h.document_id is not null as no_words
      from public.documents d
      left join public.head_texts h on h.project_id = d.project_id and h.document_id = d.id and h.version = d.head
      join public.versions v on v.hash = d.head
      where latest and d.project_id = project and d.live and d.path ^@ prefix and (h.document_id is null or h.tsv is null)
        and not exists (select from public.blobs b where b.object_id = v.object_id and b.erased_at is not null)
      union all
      select b.sha256, b.size, b.object_id, t.sha256 is not null
      from public.blobs b left join public.texts t on t.project_id = b.project_id and t.sha256 = b.sha256
      where not latest and b.project_id = project and b.erased_at is null and (t.sha256 is null or t.tsv is null)
    ) c;
end
$$;
comment on function private.unsearched is 'Contents that a search can''t see: too_large, not_text (as the caller found) or not_indexed (yet).';
grant execute on function private.unsearched to authenticated;

create function public.search(
  project text, query text, latest boolean default true, prefix text default '', author text default null,
  since timestamptz default null, until timestamptz default null,
  before bigint default null, before_position integer default null, page_size integer default 20, not_text text[] default '{}')
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  words tsquery := websearch_to_tsquery('pg_catalog.english', query);
  below bigint := coalesce(before, 9223372036854775807);
  above bigint := 0;
  wanted uuid;
  page text[] := '{}';
  mark text := gen_random_uuid();
begin
  if numnode(words) = 0 then
    perform private.fail(422, 'bad_query', 'Search for at least one word that isn''t as common as "the" or "and".');
  end if;
  if until is not null then
    select least(below, coalesce(max(c.sequence), 0) + 1) into below from (
      select c.sequence from public.changes c where c.project_id = target and c.committed_at < until
      order by c.committed_at desc, c.sequence desc limit 1) c;
  end if;
  if since is not null then
    select coalesce(max(c.sequence), 0) into above from (
      select c.sequence from public.changes c where c.project_id = target and c.committed_at < since
      order by c.committed_at desc, c.sequence desc limit 1) c;
  end if;
  if author is not null then
    select p.id into wanted from public.people p
    where p.handle = lower(author) or p.id = private.uuid_or_null(lower(author));
  end if;
  if author is null or wanted is not null then
    page := private.search_versions(target, words, latest, prefix, wanted, above, below,
      case when below = before then coalesce(before_position, 2147483647) else 2147483647 end, page_size);
  end if;
  return jsonb_build_object(
    'mark', mark,
    'items', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'version', to_jsonb(v) - 'change_sequence' - 'position', 'position', v.position,
        'snippets', public.snippets(target, v.sha256, words, mark)) order by v.change_sequence desc, v.position), '[]')
      from public.version_details v where v.hash = any (page)),
    'missing', (
      select coalesce(jsonb_object_agg(u.reason, u.contents), '{}')
      from (select x.reason, count(*) as contents from private.unsearched(target, latest, prefix, not_text) x group by 1) u));
end
$$;
comment on function public.search is
  '{mark, items: [{version, position, snippets}], missing}: versions whose text matches, newest first. Matches in snippets stand between <mark>( and <mark>); missing counts the contents that couldn''t be searched, by reason.';

-- Finding passages means reading the text again, some 10 ms for 80 kB: the first 200,000 characters, for one page.
create function public.snippets(project uuid, sha256 text, query tsquery, mark text)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('text', f.marked, 'line', case when f.place > 0 then
      length(left(f.body, f.place)) - length(replace(left(f.body, f.place - 1), E'\n', '')) end) order by f.n), '[]')
  from (
    select p.n, p.marked, t.body,
           strpos(t.body, replace(replace(p.marked, snippets.mark || '(', ''), snippets.mark || ')', '')) as place
    from (select left(x.body, 200000) as body from public.texts x
          where x.project_id = snippets.project and x.sha256 = snippets.sha256) t
    cross join lateral string_to_table(ts_headline('pg_catalog.english', t.body, snippets.query, format(
      'StartSel="%1$s(", StopSel="%1$s)", FragmentDelimiter="%1$s|", MaxFragments=2, MaxWords=30, MinWords=12', snippets.mark)),
      snippets.mark || '|') with ordinality p (marked, n)) f
  where strpos(f.marked, snippets.mark) > 0
$$;
comment on function public.snippets is 'Up to two passages of a text that match, with the line where each begins; null where markup was left out of it.';

create function public.list_unsearched(project text, latest boolean default true, prefix text default '', not_text text[] default '{}', page_size integer default 32)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return jsonb_build_object('project', target, 'contents', (
    select coalesce(jsonb_agg(jsonb_build_object('sha256', u.sha256, 'size', u.size, 'copies', public.list_copies(target, u.sha256, u.object_id))), '[]')
    from (select * from private.unsearched(target, latest, prefix, not_text) x
          where x.reason = 'not_indexed' limit private.page_rows(page_size)) u));
end
$$;
comment on function public.list_unsearched is '{project, contents: [{sha256, size, copies}]}: contents that are not yet in the index, for whoever reads and brings them.';

create function public.list_copies(project uuid, sha256 text, proven uuid)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('object', b.object_id, 'name', b.name, 'size', b.size)
                            order by b.own desc, b.created_at desc, b.object_id), '[]')
  from (select *, x.object_id = list_copies.proven as own from public.blobs x
        where x.project_id = list_copies.project and x.sha256 = list_copies.sha256 and x.erased_at is null
        order by own desc, x.created_at desc, x.object_id limit 8) b
$$;
comment on function public.list_copies is 'The objects that may hold a content, the proven one first.';

-- When did a sentence come and go? A needle's words stand in the order given, with any blanks between them. Most
-- texts are decided without a regular expression: they have the needle as it is, or lack one of its words.
create function private.has_text(body text, needle text)
returns boolean
language plpgsql immutable
set search_path = ''
as $$
declare
  word text;
begin
  if strpos(body, needle) > 0 then
    return true;
  end if;
  foreach word in array string_to_array(needle, ' ') loop
    if strpos(body, word) = 0 then
      return false;
    end if;
  end loop;
  return body ~ regexp_replace(regexp_replace(needle, '([!-/:-@[-`{-~])', '\\\1', 'g'), ' ', '[ \\t\\n\\r\\f\\v]+', 'g');
end
$$;
comment on function private.has_text is 'Whether a text has these words with any blanks between them. The needle has single blanks, and none at its ends.';
grant execute on function private.has_text to authenticated;

create function public.list_occurrences(document uuid, needle text, after integer default 0, page_size integer default 500)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  head text := private.version_at(document, null);  -- 404 when it isn't there
begin
  if needle !~ '[^ ]' or needle ~ '^ | $|  |[\t\n\r\f\v]' or length(needle) > 2000 then
    perform private.fail(422, 'bad_query', 'Ask for 1 to 2,000 characters, with single blanks between words.');
  end if;
  return (
    with page as materialized (
      select v.number, v.sha256, v.size, v.object_id, v.project_id from public.versions v
      where v.document_id = document and v.number > list_occurrences.after
      order by v.number limit private.page_rows(page_size)
    ),
    contents as materialized (
      select c.sha256, c.size, c.object_id, c.project_id, private.has_text(t.body, needle) as present, t.sha256 is null as unknown
      from (select distinct on (p.sha256) p.* from page p where p.sha256 is not null order by p.sha256) c
      left join public.texts t on t.project_id = c.project_id and t.sha256 = c.sha256
    )
    select jsonb_build_object(
      'versions', (
        select coalesce(jsonb_agg(jsonb_build_array(p.number, case when p.sha256 is null then false else c.present end, p.sha256) order by p.number), '[]')
        from page p left join contents c on c.sha256 = p.sha256),
      'unknown', (
        select coalesce(jsonb_agg(jsonb_build_object('sha256', c.sha256, 'size', c.size,
          'copies', public.list_copies(c.project_id, c.sha256, c.object_id))), '[]')
        from contents c where c.unknown)));
end
$$;
comment on function public.list_occurrences is
  '{versions: [[number, present, sha256]], unknown: [{sha256, size, copies}]}: in which versions a text occurs, oldest first; present is null where the content isn''t in texts.';

revoke execute on function public.store_texts, public.search, public.snippets, public.list_unsearched, public.list_copies,
  public.list_occurrences from public, anon, service_role;
grant execute on function public.store_texts, public.search, public.snippets, public.list_unsearched, public.list_copies,
  public.list_occurrences to authenticated;
revoke execute on all functions in schema private from public;
