// Package sqlengine answers the T-SQL that monitors and ordinary clients send to a simulated SQL Server, from a
// model of the instance and nothing else. It stores nothing.
package sqlengine
