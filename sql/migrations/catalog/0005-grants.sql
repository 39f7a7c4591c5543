-- Who may do what. PUBLIC may do nothing; readers see the served views and never a table.
do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
    execute format('revoke all on schema %I from public', current_schema());
    execute format('grant usage on schema %I to recjobs_loader, recjobs_publisher, recjobs_reader', current_schema());
end
$$;

grant select on
    batches, served_lists, recommendations, similar_items, popular_items, items, user_history, promotions, evaluations,
    findings, reports, publish_log
to recjobs_reader;
grant execute on function recommend(text, integer) to recjobs_reader;

grant select on batches, champion to recjobs_loader, recjobs_publisher;
grant execute on function stage_batch(jsonb), seal_batch(text), partition_name(text, text) to recjobs_loader;
grant execute on function
    register_model(text, text, text, text, timestamptz, jsonb), record_night(text, jsonb, jsonb, jsonb),
    attach_batch(text, text, boolean), publish_batch(text, text, boolean, text), roll_back(text, text), promote_model(text, text), record_report(text, text)
to recjobs_publisher;
