-- Items that are bought together, beside those that resemble each other: a row of similar_lists has both lists of an item.

alter table similar_lists add column together_ids text[], add column together_scores real[];
comment on column similar_lists.together_ids is 'The items that stand on one order with it, best first; null: a batch from before there were such lists';
comment on column similar_lists.together_scores is 'The scores of together_ids, falling';
