create or replace function record_report(batch text, page text) returns void
language sql security definer set search_path from current
as $$
    insert into report_records (batch_id, html) values (batch, page)
    on conflict (batch_id) do update set html = excluded.html, written_at = now()
$$;
comment on function record_report is 'Keep a night''s report where the web app finds it';
revoke all on function record_report from public;
