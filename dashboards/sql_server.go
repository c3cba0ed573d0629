package dashboards

// sqlServer is how the SQL Servers of one virtual machine do their work: what a database administrator asks first.
func sqlServer() Dashboard {
	const of = `{cluster="$cluster", vm="$vm"}`
	const by = `sum by (sql_instance) (rate(`
	const per = of + `[$__rate_interval]))`
	return page("sql-server", "SQL Server", "How the SQL Servers of one virtual machine work: waits, blocking, memory, workers, files, logs, backups, availability groups.", oneMachine).with(
		section{"Now", []Panel{
			stat("Health level", "The lowest violated level of the FailureConditionLevel ladder: 0 none, 1 down, 2 not responding, 3 system, 4 resource, 5 query processing.", "none",
				now(`mssql_health_level`+of, "{{sql_instance}}")).
				words(codes(map[int]string{0: "well", 1: "down", 2: "hung", 3: "system", 4: "resource", 5: "query processing"}, 0)).none("not known").size(4, statHeight),
			stat("Blocked requests", "Requests that wait for what another session holds.", "none",
				now(`mssql_blocked_requests`+of, "{{sql_instance}}")).steps("green", 1.0, "orange", 10.0, "red").size(4, statHeight).everyMinute(),
			stat("Longest blocking", "How long the request has waited that waits longest for what another session holds.", "s",
				now(`mssql_longest_blocking_seconds`+of, "{{sql_instance}}")).steps("green", 30.0, "orange", 300.0, "red").size(4, statHeight).everyMinute(),
			stat("Oldest open transaction", "How long the oldest of the users' transactions has been open; a service that is stopped has to roll it back.", "s",
				now(`mssql_oldest_open_transaction_seconds`+of, "{{sql_instance}}")).steps("green", 300.0, "orange", 3600.0, "red").size(4, statHeight).everyMinute(),
			stat("Fullest log", "The share in use of the fullest transaction log.", "percentunit",
				now(`max by (sql_instance) (mssql_database_log_used_ratio`+of+`)`, "{{sql_instance}}")).steps("green", 0.8, "orange", 0.95, "red").size(4, statHeight).everyMinute(),
			stat("Oldest full backup", "The age of the database's last full backup that has the oldest; those without any are not counted.", "s",
				now(`time() - min by (sql_instance) (mssql_backup_last_full_timestamp_seconds`+of+`)`, "{{sql_instance}}")).
				steps("green", 93600.0, "orange", 691200.0, "red").size(4, statHeight).everyMinute(),
		}},
		section{"Work", []Panel{
			series("Batches and transactions", "What clients send and what is begun, in a second.", "ops",
				over(by+`mssql_batch_requests_total`+per, "{{sql_instance}} batches"), over(by+`mssql_transactions_total`+per, "{{sql_instance}} transactions")).everyMinute(),
			series("Connections and logins", "Users that are connected, and new logins in a second.", "none",
				over(`mssql_user_connections`+of, "{{sql_instance}} connected"), over(by+`mssql_logins_total`+per, "{{sql_instance}} logins/s")).everyMinute(),
			series("Compilations", "Plans that are made, and those made again, in a second.", "ops",
				over(by+`mssql_sql_compilations_total`+per, "{{sql_instance}} compilations"), over(by+`mssql_sql_recompilations_total`+per, "{{sql_instance}} again")).everyMinute(),
			series("Processors", "How busy the guest's processors are with everything, and with SQL Server.", "percentunit",
				over(`mssql_cpu_utilization_ratio`+of, "{{sql_instance}} {{scope}}")).upTo(1).steps("transparent", 0.9, "orange"),
			series("Components' states", "What sp_server_diagnostics says of each component: 1 clean, 2 warning, 3 error. Unknown, 0, is the normal state of events.", "none",
				over(`mssql_server_diagnostics_state_code`+of, "{{sql_instance}} {{component}}")).upTo(3).steps("transparent", 2.0, "orange", 3.0, "red"),
			series("Open transactions", "Transactions that users have open, and how long the oldest has been.", "none",
				over(`mssql_active_user_transactions`+of, "{{sql_instance}} open"), over(`mssql_oldest_open_transaction_seconds`+of, "{{sql_instance}} oldest, s")).everyMinute(),
		}},
		section{"Waits and blocking", []Panel{
			series("Waits by class", "Seconds that sessions wait in a second, by what for, idle waits left out.", "s",
				over(`sum by (sql_instance, class) (rate(mssql_wait_seconds_total{class!="idle", cluster="$cluster", vm="$vm"}[$__rate_interval])) > 0`, "{{sql_instance}} {{class}}")).
				stacked().none("nobody waits").size(12, 9).everyMinute(),
			series("Blocking", "Requests that wait for what another session holds, and how long the longest has waited.", "none",
				over(`mssql_blocked_requests`+of, "{{sql_instance}} blocked"), over(`mssql_longest_blocking_seconds`+of, "{{sql_instance}} longest, s")).size(6, 9).everyMinute(),
			series("Deadlocks", "Lock requests that ended in a deadlock, in a second.", "ops",
				over(by+`mssql_deadlocks_total`+per, "{{sql_instance}}")).size(6, 9).everyMinute(),
		}},
		section{"Memory and workers", []Panel{
			series("Memory", "What the memory manager holds, and what it would like to have.", "bytes",
				over(`mssql_server_memory_bytes`+of, "{{sql_instance}} held"), over(`mssql_server_memory_target_bytes`+of, "{{sql_instance}} target")).everyMinute(),
			series("Memory grants", "Queries that have memory to work in, and those that wait for it.", "none",
				over(`mssql_memory_grants_outstanding`+of, "{{sql_instance}} granted"), over(`mssql_memory_grants_pending`+of, "{{sql_instance}} pending")).
				steps("transparent", 1.0, "orange").everyMinute(),
			series("Page life expectancy", "How long a page stays in the buffer pool without being used.", "s",
				over(`mssql_buffer_page_life_expectancy_seconds`+of, "{{sql_instance}}")).everyMinute(),
			series("Worker threads", "Workers that there are, and the most that there may be; none left is an instance that answers nobody.", "none",
				over(`mssql_workers_created`+of, "{{sql_instance}} created"), over(`mssql_workers_idle`+of, "{{sql_instance}} idle"),
				over(`mssql_workers_max`+of, "{{sql_instance}} most")),
			series("Tasks that wait", "Tasks without a worker, and tasks with one that wait for a processor.", "none",
				over(`mssql_pending_tasks`+of, "{{sql_instance}} for a worker"), over(`mssql_scheduler_runnable_tasks`+of, "{{sql_instance}} for a processor")).everyMinute(),
			series("Buffer pool's reads and writes", "Pages read and written in a second, and those written to make room.", "ops",
				over(by+`mssql_buffer_page_reads_total`+per, "{{sql_instance}} reads"), over(by+`mssql_buffer_page_writes_total`+per, "{{sql_instance}} writes"),
				over(by+`mssql_buffer_lazy_writes_total`+per, "{{sql_instance}} to make room")).everyMinute(),
		}},
		section{"Files", []Panel{
			series("I/O stalls: reads", "How long a read of each database's files takes, stalls over reads.", "s",
				over(stall("read_stall_seconds", "reads"), "{{sql_instance}} {{database}}")).steps("transparent", 0.02, "orange", 0.1, "red").none("nothing is read").everyMinute(),
			series("I/O stalls: writes", "How long a write to each database's files takes, stalls over writes.", "s",
				over(stall("write_stall_seconds", "writes"), "{{sql_instance}} {{database}}")).steps("transparent", 0.02, "orange", 0.1, "red").none("nothing is written").everyMinute(),
			series("Bytes read and written", "By database.", "Bps",
				over(`sum by (sql_instance, database) (rate(mssql_file_read_bytes_total`+per, "{{sql_instance}} {{database}} read"),
				over(`sum by (sql_instance, database) (rate(mssql_file_written_bytes_total`+per, "{{sql_instance}} {{database}} written")).everyMinute(),
			series("tempdb", "How the pages of tempdb are used. A version store that grows has an old transaction behind it.", "bytes",
				over(`mssql_tempdb_space_bytes`+of, "{{sql_instance}} {{use}}")).stacked().everyMinute(),
			series("Log use", "Share of each database's transaction log in use.", "percentunit",
				over(`mssql_database_log_used_ratio`+of, "{{sql_instance}} {{database}}")).upTo(1).steps("transparent", 0.8, "orange", 0.95, "red").everyMinute(),
			series("Size of the files", "By database, rows and log together.", "bytes",
				over(`sum by (sql_instance, database) (mssql_database_file_size_bytes`+of+`)`, "{{sql_instance}} {{database}}")).stacked().everyMinute(),
		}},
		section{"Databases and availability groups", []Panel{
			table("Databases", "A line for each: its state, how full its log is, and the age of its backups; empty where there was none.",
				append(labels("sql_instance", "database"),
					column{from: "Value #A", title: "state", words: codes(map[int]string{
						0: "online", 1: "restoring", 2: "recovering", 3: "recovery pending", 4: "suspect", 5: "emergency", 6: "offline", 7: "copying", 10: "offline secondary",
					}, 0)},
					column{from: "Value #B", title: "log used", unit: "percentunit"}, column{from: "Value #C", title: "log size", unit: "bytes"},
					column{from: "Value #D", title: "full backup", unit: "s"}, column{from: "Value #E", title: "differential", unit: "s"},
					column{from: "Value #F", title: "log backup", unit: "s"}), nil,
				rows(`max by (sql_instance, database) (mssql_database_state_code`+of+`)`),
				rows(`max by (sql_instance, database) (mssql_database_log_used_ratio`+of+`)`),
				rows(`max by (sql_instance, database) (mssql_database_log_size_bytes`+of+`)`),
				rows(`time() - max by (sql_instance, database) (mssql_backup_last_full_timestamp_seconds`+of+`)`),
				rows(`time() - max by (sql_instance, database) (mssql_backup_last_differential_timestamp_seconds`+of+`)`),
				rows(`time() - max by (sql_instance, database) (mssql_backup_last_log_timestamp_seconds`+of+`)`)).size(24, 9).everyMinute(),
			table("Replicas", "Role and synchronization health of each replica that an instance here knows of.",
				append(labels("ag", "replica", "sql_instance"), column{from: "state", title: "role"}), []string{"Value"},
				rows(`max by (ag, replica, sql_instance, state) (mssql_ag_replica_role`+of+`) == 1`)).everyMinute(),
			series("Lag of the secondaries", "How far each database's replica is behind its primary.", "s",
				over(`max by (ag, replica, database) (mssql_ag_database_secondary_lag_seconds`+of+`)`, "{{ag}} {{replica}} {{database}}")).
				none("no availability group").size(12, plotHeight).everyMinute(),
			series("Log to send and to redo", "What would be lost, and what a takeover waits for.", "bytes",
				over(`max by (ag, replica, database) (mssql_ag_database_log_send_queue_bytes`+of+`)`, "{{ag}} {{replica}} {{database}} to send"),
				over(`max by (ag, replica, database) (mssql_ag_database_redo_queue_bytes`+of+`)`, "{{ag}} {{replica}} {{database}} to redo")).
				none("no availability group").size(12, plotHeight).everyMinute(),
			timeline("Ready to take over", "1 while the cluster knows the database to be synchronized: the replica can take over without loss.", yesNo(),
				over(`max by (ag, replica, database) (mssql_ag_database_failover_ready`+of+`)`, "{{ag}} {{replica}} {{database}}")).none("no availability group").everyMinute(),
		}},
	)
}

// stall is how long one access to a database's files takes; nothing where there was none.
func stall(time, count string) string {
	const by, per = `sum by (sql_instance, database) (rate(mssql_file_`, `_total{cluster="$cluster", vm="$vm"}[$__rate_interval]))`
	return by + time + per + ` / (` + by + count + per + ` > 0)`
}
