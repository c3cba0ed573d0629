-- The exporter's login on one instance of SQL Server, with no more than it needs. Run as a member of sysadmin; the
-- receiver's login needs no more than this one.
--
-- Each permission, what is not seen without it, and its source (learn.microsoft.com, the section "Permissions" of the
-- page named):
--
--   none            mssql_up, mssql_server_info, mssql_database_state and the rest of sys.databases:
--                   the role public has VIEW ANY DATABASE ("sys.databases").
--   VIEW SERVER STATE, from SQL Server 2022 on VIEW SERVER PERFORMANCE STATE
--                   the start time ("sys.dm_os_sys_info"), logs, waits, requests, transactions, counters, workers and
--                   stalls, replicas of availability groups ("System dynamic management views").
--                   Without it the receiver does not know what a hanging instance had open, and leaves it to a person (G36).
--   VIEW SERVER STATE on every version
--                   the nodes of a failover cluster instance ("sys.dm_os_cluster_nodes"), and
--                   the stream of sp_server_diagnostics ("sp_server_diagnostics"); it is not documented to be content
--                   with VIEW SERVER PERFORMANCE STATE.
--   VIEW ANY DEFINITION
--                   names, states and sizes of files ("sys.master_files"), names of availability groups
--                   ("sys.availability_groups"). Without it there is no error, only no rows.
--   CONNECT ANY DATABASE, since SQL Server 2014
--                   how much of each file is in use ("sys.dm_db_file_space_usage", "GRANT Server Permissions").
--   SELECT on msdb.dbo.backupset
--                   when the last backups ended ("backupset").
--
-- None of them reads a row of anybody's table.

USE master;
CREATE LOGIN hypervigil WITH PASSWORD = N'<a long random password>', CHECK_POLICY = ON, DEFAULT_DATABASE = master;
GRANT VIEW SERVER STATE TO hypervigil;
GRANT VIEW ANY DEFINITION TO hypervigil;
GRANT CONNECT ANY DATABASE TO hypervigil;
GO

-- Where VIEW SERVER STATE is too much and SQL Server is 2022 or newer, in its place, and without mssql_diagnostics:
-- GRANT VIEW SERVER PERFORMANCE STATE TO hypervigil;

-- For the collector admin_connection alone, which is off unless the configuration names an instance's "admin": the
-- dedicated administrator connection lets in members of sysadmin only, and from the network only with the option
-- ("Diagnostic connection for database administrators", "remote admin connections server configuration option").
-- CREATE LOGIN [hypervigil-admin] WITH PASSWORD = N'<another long random password>', CHECK_POLICY = ON, DEFAULT_DATABASE = master;
-- ALTER SERVER ROLE sysadmin ADD MEMBER [hypervigil-admin];
-- EXECUTE sp_configure 'remote admin connections', 1; RECONFIGURE;

USE msdb;
CREATE USER hypervigil FOR LOGIN hypervigil;
GRANT SELECT ON dbo.backupset TO hypervigil;
GO
