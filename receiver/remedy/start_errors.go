package remedy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// lastWords is how many errors of the end of the service's own log are told.
const lastWords = 3

// maxWord bounds, in bytes, what is told of one event.
const maxWord = 200

// NotStarted judges once more why a service did not start, by what the guest's logs say of it, and adds that to the words.
//
// What the service control manager or the service itself names as the reason is permanent: a password, a right, a file or
// a port that is not there is not there after another start, or a restart of the virtual machine, either (G24). Without
// such a reason the cause remains what the return value or the exit code made of it.
func NotStarted(cmd Command, cause Cause, why string, events evidence.Reading[[]cluster.Event]) (Cause, string) {
	if !events.Known() {
		return cause, why + "; the guest's logs could not be read for the reason: " + string(events.Failure)
	}
	var said []string
	words := 0
	for _, e := range events.Value {
		text, permanent := "", false
		if e.Log == "Application" {
			if words++; words > lastWords {
				continue
			}
			text, permanent = fmt.Sprintf("%s wrote error %d%s", e.Source, e.ID, quoted(e.Strings)), true
		} else {
			text, permanent = managerSays(cmd.Service, e)
		}
		if permanent {
			cause = Permanent
		}
		if text != "" {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return cause, why + "; the guest's logs give no reason"
	}
	return cause, why + "; " + strings.Join(said, "; ")
}

// managerSays puts an event of the service control manager in words, and says whether its reason is permanent.
func managerSays(service string, e cluster.Event) (text string, permanent bool) {
	param := func(n int) string {
		if n < len(e.Strings) {
			return cut(e.Strings[n])
		}
		return ""
	}
	switch e.ID {
	case cluster.EventLogonFailed:
		return fmt.Sprintf("the account %s of %s cannot log on: %s (event %d)", param(1), service, winError(param(2)), e.ID), true
	case cluster.EventLogonRight:
		return fmt.Sprintf("the account %s of %s may not log on as a service (event %d)", param(1), service, e.ID), true
	case cluster.EventDependencyFailed:
		return fmt.Sprintf("%s depends on %s, which failed: %s (event %d)", service, param(1), winError(param(2)), e.ID), true
	case cluster.EventStartFailed:
		return fmt.Sprintf("%s failed to start: %s (event %d)", service, winError(param(1)), e.ID), lasting(param(1))
	case cluster.EventEnded, cluster.EventEndedSpecific:
		return fmt.Sprintf("%s ended with %s (event %d)", service, winError(param(1)), e.ID), lasting(param(1))
	}
	return "", false
}

// winErrors are those errors that another start meets again, by their numbers in winerror.h.
func winErrors() map[string]string {
	return map[string]string{
		"2": "file not found", "3": "path not found", "5": "access denied",
		"1058": "the service is disabled", "1068": "a service that it depends on failed", "1069": "logon failure",
		"1326": "wrong user name or password", "1330": "the password has expired", "1331": "the account is disabled",
		"1385": "the account may not log on as a service", "1793": "the account has expired", "1907": "the password must be changed",
		"1909": "the account is locked out",
	}
}

// winError puts the parameter of an event in words: %%1069 stands for the text of error 1069.
func winError(param string) string {
	number, ok := strings.CutPrefix(param, "%%")
	if _, err := strconv.Atoi(number); !ok || err != nil {
		return strconv.Quote(param)
	}
	if text, known := winErrors()[number]; known {
		return "error " + number + ", " + text
	}
	return "error " + number
}

// lasting reports whether the error that a parameter names is met again by another start.
func lasting(param string) bool {
	number, ok := strings.CutPrefix(param, "%%")
	_, known := winErrors()[number]
	return ok && known
}

// quoted tells the parameters of an event of the service's own; its text is localised and not asked.
func quoted(params []string) string {
	if len(params) == 0 {
		return ""
	}
	return " (" + strconv.Quote(cut(strings.Join(params, ", "))) + ")"
}

// cut shortens what somebody else wrote.
func cut(s string) string {
	if len(s) <= maxWord {
		return s
	}
	return strings.ToValidUTF8(s[:maxWord], "") + "…"
}
