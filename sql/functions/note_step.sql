create or replace function note_step(batch text, of_step text, its_state text) returns void
language sql security definer set search_path from current
as $$
    insert into step_records (batch_id, step, state, ended_at)
    values (batch, of_step, its_state, case when its_state <> 'running' then clock_timestamp() end)
    on conflict (batch_id, step) do update
    set state = excluded.state,
        started_at = case when excluded.state = 'running' then excluded.started_at else step_records.started_at end,
        ended_at = excluded.ended_at,
        reason = null
$$;
comment on function note_step is 'Note that a step of a night begins (running), or how it ended; for people to look at, nothing depends on it';
revoke all on function note_step from public;
