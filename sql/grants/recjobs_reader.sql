-- Readers see the served views and never a table.
do $$
begin
    execute format('grant usage on schema %I to recjobs_reader', current_schema());
end
$$;
grant select on
    again_items, batches, begins, challengers, champions, drift, evaluations, exposure, findings, inputs, items, kept_out,
    kept_recommendations, live_state, popular_items, previous_batch, previous_items, previous_lists, promotions,
    publish_log, recommendations, rejected, reports, rule_log, rules, segments, served_lists, served_rules,
    similar_items, steps, stored_lists, stored_popular, together_items, user_history, worth, written_rules
to recjobs_reader;
grant execute on function again, apply_rules, basket, item_details, recommend, recommend_narrowed, together, trace to recjobs_reader;
