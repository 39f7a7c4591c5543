-- No row: what was deleted is no longer found in the table, its indexes or its statistics; nobody waits for it.
vacuum (analyze, truncate false) {table}
