-- The signal: each transaction that wrote events of a project says so on the private channel `project:<id>`.
-- A broadcast is a hint and never the truth: readers read events, and poll when hints don't come.

-- Deferred to the commit, when the project's counter names the last event: one broadcast for a transaction,
-- however many events it wrote. Nothing that goes wrong in it may stop the commit.
create function private.signal_events() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if new.sequence = (select p.event_sequence from public.projects p where p.id = new.project_id) then
    perform realtime.send(
      pg_catalog.jsonb_build_object('sequence', new.sequence, 'kind', new.kind),
      'event', 'project:' || new.project_id, true
    );
  end if;
  return null;
exception when others then
  raise warning 'No broadcast of event % of project %: %', new.sequence, new.project_id, sqlerrm;
  return null;
end
$$;
comment on function private.signal_events is 'Broadcasts that a transaction wrote events of a project.';
revoke execute on function private.signal_events from public;

create constraint trigger events_are_signalled after insert on public.events
  deferrable initially deferred
  for each row execute function private.signal_events();

-- Members hear their projects' channels, for as long as their token or membership is asked for. Nobody may send:
-- there is no policy for inserting, so what is heard on these channels is the database's.
create policy "members hear their projects" on realtime.messages
  for select to authenticated using (
    extension = 'broadcast'
    and topic = (select realtime.topic())
    and (select realtime.topic()) in (select 'project:' || mine from private.my_projects() mine)
  );
