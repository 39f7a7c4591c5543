create or replace function log_approval(batch text, by_whom text, answer text, why text) returns void
language plpgsql security definer set search_path from current
as $$
begin
    perform public.record_audit(jsonb_build_object(
        'action', 'approve', 'catalog', current_schema(), 'person', by_whom, 'about', batch,
        'details', jsonb_build_object('answer', answer, 'reason', why)
    ));
end
$$;
comment on function log_approval is 'Note in the audit who answered the question about a night''s candidate: approved, refused or timed out';
revoke all on function log_approval from public;
