package ledger

// syncDir has nothing to do: a directory cannot be flushed through its handle, and NTFS keeps names in its journal
// (FlushFileBuffers, https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-flushfilebuffers, knows
// files and volumes only).
func syncDir(string) error { return nil }
