-- What pages show beside a list: who changed each of its entries last, and why. One question for all of them.
create function public.list_summaries(projects uuid[], sequences bigint[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  if cardinality(projects) <> cardinality(sequences) or cardinality(projects) > 1000 then
    perform private.fail(422, 'bad_value', 'Name at most 1000 changes, each by its project and its number.');
  end if;
  return (
    select coalesce(jsonb_agg(to_jsonb(c) order by c.project, c.sequence), '[]')
    from (select distinct w.project, w.sequence from unnest(projects, sequences) w (project, sequence)) w
    cross join lateral (
      select * from public.change_details d where d.project = w.project and d.sequence = w.sequence) c);
end
$$;
comment on function public.list_summaries is 'Changes by their projects and numbers (two arrays of the same length), as lists show them; those that the caller may not see are left out.';
revoke execute on function public.list_summaries from public, anon, service_role;
grant execute on function public.list_summaries to authenticated;
