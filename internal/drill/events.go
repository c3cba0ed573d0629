package drill

// The events of a trial's story that more than its reader relies on: figures are measured between them, and a picture draws
// them. The others are the incident's own words.
const (
	EventFault        = "fault"
	EventDown         = "SQL Server down" // the detail is the instance
	EventUp           = "SQL Server answers"
	EventProbe        = "first failed probe"
	EventAlert        = "alert"   // the detail begins with its name
	EventWebhook      = "webhook" // the first one that was accepted
	EventCommand      = "command" // by the lab's counters; the detail is the method, and what it was sent to
	EventVerification = "verification"
	EventGuard        = "guard " // and the guard's name; the detail begins with its verdict and a colon
)
