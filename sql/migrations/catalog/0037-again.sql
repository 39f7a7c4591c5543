-- What a user is likely to need again now, beside the user's history.

alter table history_lists add column again_ids text[], add column again_scores real[];
comment on column history_lists.again_ids is 'The user''s own items that they are likely to need again now, best first; null: a batch from before there were such lists';
comment on column history_lists.again_scores is 'The scores of again_ids, falling';
