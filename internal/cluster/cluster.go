// Package cluster gives failover cluster, Hyper-V and guest objects as Go types over WS-Management: snapshots to
// read, and the few commands that change something. It classifies failures (dial.Reason) and judges nothing.
//
// Host and Guest are safe for concurrent use; every call ends at its context's deadline.
package cluster
