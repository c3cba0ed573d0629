package probe

import "strings"

// ServiceStates and StartModes are Windows' own words (learn.microsoft.com, "Win32_Service class"), as labels.
var (
	ServiceStates = []string{
		"stopped", "start_pending", "stop_pending", "running", "continue_pending", "pause_pending", "paused", "unknown", Other,
	}
	StartModes = []string{"boot", "system", "auto", "manual", "disabled", Other}
)

// Label makes a label of a word of Windows'.
func Label[T ~string](word T) string {
	return strings.ReplaceAll(strings.ToLower(string(word)), " ", "_")
}
