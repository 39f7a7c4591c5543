-- Who publishes: by functions only.
do $$
begin
    execute format('grant usage on schema %I to recjobs_publisher', current_schema());
end
$$;
grant select on batches, begins, challengers, champion, inputs, steps, worth to recjobs_publisher;
grant execute on function
    attach_batch, decide_challenger, erasures_to_apply, log_approval, note_begin, note_reason, note_step, promote_model, publish_batch,
    record_challenger, record_input, record_night, record_report, register_model, register_model_version, roll_back
to recjobs_publisher;
