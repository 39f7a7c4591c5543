"""The lists that are served, and why most of them come from memory.

A list is always read from Postgres: one primary-key lookup in the live batch. What else an answer needs could be read
there as well, and `webapp.lists.lookup` can do so in one statement; for a user's list that costs three times as much
(titles, reasons and rules: 45 microseconds of Postgres become 145 and, with rules, up to 550), and Flask alone takes
longer than the lookup. So the one request that arrives thousands of times a second has a fast path of two parts:

- `fast_path` recognises `GET /v1/<catalog>/recommendations` before Flask does and calls the functions that Flask calls
  for it: one that admits the request (`webapp.access.admission`), one that answers it. Any other address goes through
  Flask.
- `from_memory` reads the stored list, before rules, and gets the rest from this process: what the batch knows of items
  (`catalog_cache`), the active rules (`rules`; one on a category is one object, whatever the number of its items), and
  recent responses (`response_cache`).

What is served is nevertheless what SQL says, item for item:

- Item data are cached by batch, and a published batch does not change.
- The statement that reads the list also reads, in the same snapshot, the live batch, the version of the rules, and the
  database's clock. A process that has another version of the rules loads them first, so a rule applies to the next
  answer, and a list never meets the rules of another time.
- A response is cached with its row and the rules that were active. Every request reads its row again, and gets the
  cached response only if both are the same. Nothing has to be invalidated.
- A list that rules leave too short is filled from the popular list, which is cached by batch as items are.
- Where the pointer or a rule moves between two statements, where there are more rules than a process can read in time,
  and for everything that is asked less often (categories, exclusions, many users, baskets), `lookup` asks SQL, which
  applies the rules itself.

Tests in tests/integration hold both ways equal. test_rules.py compares the API with the function `recommend` for every
user under 200 random rules, and checks that nearly all lists came from memory; test_rules_on_categories.py does so
under rules on categories that many items share. test_webapp_fast_path.py sends odd requests both ways, under all
settings, and compares status, headers and bytes. test_webapp_memory.py covers batches and rules that change meanwhile.
docs/decisions/0013 and 0014 have the measurements.
"""
