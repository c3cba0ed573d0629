package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// VMContext says what happens to a virtual machine when its group goes offline or moves (resapi.h, VM_RESDLL_CONTEXT).
type VMContext uint32

// The contexts. Without one, the virtual machine's own setting decides, which by default is to save it.
const (
	VMTurnOff       VMContext = 0
	VMSave          VMContext = 1
	VMShutdown      VMContext = 2
	VMShutdownForce VMContext = 3
	VMLiveMigration VMContext = 4
)

func (c VMContext) String() string {
	switch c {
	case VMTurnOff:
		return "turn off"
	case VMSave:
		return "save"
	case VMShutdown:
		return "shut down"
	case VMShutdownForce:
		return "shut down by force"
	case VMLiveMigration:
		return "live migration"
	}
	return "context " + strconv.FormatUint(uint64(c), 10)
}

// moveFlags of every move (clusapi.h, CLUSAPI_GROUP_MOVE_*): back to the source where the destination fails (2) and
// started there at once (8). Never 1, which moves what is locked, and never 4, which queues the move: it would be
// carried out when nobody knows any more what it was for.
const moveFlags = 2 | 8

// GroupCode is the Windows error by which the cluster answers a method of a group (winerror.h); 0 is success.
type GroupCode uint32

// The codes that say something about what to do next (learn.microsoft.com, "System Error Codes"; winerror.h).
const (
	GroupDone             GroupCode = 0
	GroupAccessDenied     GroupCode = 5    // ERROR_ACCESS_DENIED
	GroupInvalidParameter GroupCode = 87   // ERROR_INVALID_PARAMETER
	GroupWaitTimeout      GroupCode = 258  // WAIT_TIMEOUT: begun, and not over
	GroupIOPending        GroupCode = 997  // ERROR_IO_PENDING: accepted, and in progress (MoveClusterGroupEx)
	GroupCancelled        GroupCode = 1223 // ERROR_CANCELLED
	GroupHostNotAvailable GroupCode = 5005 // ERROR_HOST_NODE_NOT_AVAILABLE
	GroupNotAvailable     GroupCode = 5012 // ERROR_GROUP_NOT_AVAILABLE: for any new request
	GroupNotFound         GroupCode = 5013 // ERROR_GROUP_NOT_FOUND
	GroupNotOnline        GroupCode = 5014 // ERROR_GROUP_NOT_ONLINE
	GroupHostNotOwner     GroupCode = 5016 // ERROR_HOST_NODE_NOT_GROUP_OWNER: not the owner, or not a possible one
	GroupInvalidState     GroupCode = 5023 // ERROR_INVALID_STATE: not in the state for it
	GroupNodeNotAvailable GroupCode = 5036 // ERROR_NODE_NOT_AVAILABLE
	GroupResourceFailed   GroupCode = 5038 // ERROR_RESOURCE_FAILED
	GroupNodeDown         GroupCode = 5050 // ERROR_CLUSTER_NODE_DOWN
	GroupNodePaused       GroupCode = 5070 // ERROR_CLUSTER_NODE_PAUSED
	GroupNodeCannotHost   GroupCode = 5071 // ERROR_NODE_CANT_HOST_RESOURCE
	GroupMoving           GroupCode = 5908 // ERROR_CLUSTER_GROUP_MOVING
	GroupVetoedNodes      GroupCode = 5953 // ERROR_CLUSTER_RESOURCE_VETOED_MOVE_INCOMPATIBLE_NODES
	GroupVetoedTarget     GroupCode = 5957 // ERROR_CLUSTER_RESOURCE_VETOED_MOVE_NOT_ENOUGH_RESOURCES_ON_DESTINATION
	GroupVetoedSource     GroupCode = 5958 // ERROR_CLUSTER_RESOURCE_VETOED_MOVE_NOT_ENOUGH_RESOURCES_ON_SOURCE
	GroupQueued           GroupCode = 5959 // ERROR_CLUSTER_GROUP_QUEUED
	GroupLockedStatus     GroupCode = 5960 // ERROR_CLUSTER_RESOURCE_LOCKED_STATUS
	GroupDrainInProgress  GroupCode = 5962 // ERROR_CLUSTER_NODE_DRAIN_IN_PROGRESS
)

// Accepted reports whether the cluster has begun or done what it was asked for.
func (c GroupCode) Accepted() bool {
	return c == GroupDone || c == GroupIOPending || c == GroupWaitTimeout
}

// MoveGroup calls MSCluster_ResourceGroup.MoveToNewNodeParams once. The cluster knows no source: to the present owner the
// move succeeds and does nothing. Outcome.Code is a GroupCode; accepted means that the move has begun, and the group's
// owner and state tell how it went.
//
// No command leaves after notAfter: it fails with ErrStale then. The zero time sets no bound.
func (h *Host) MoveGroup(ctx context.Context, group, node string, how VMContext, notAfter time.Time) (Outcome, error) {
	if node == "" {
		return Outcome{}, fmt.Errorf("move group %s: a node is needed; without one the cluster would choose", group)
	}
	args := append([]wsman.Argument{{Name: "NodeName", Value: node}}, parameters(how)...)
	return h.group(ctx, notAfter, group, "MoveToNewNodeParams", append(args, wsman.Argument{Name: "Flags", Value: strconv.Itoa(moveFlags)})...)
}

// BringGroupOnline calls MSCluster_ResourceGroup.BringOnline once, which starts the group on its owner and makes its
// persistent state online. It does not wait for that (TimeOut 0).
func (h *Host) BringGroupOnline(ctx context.Context, group string, notAfter time.Time) (Outcome, error) {
	return h.group(ctx, notAfter, group, "BringOnline", wsman.Argument{Name: "TimeOut", Value: "0"}, wsman.Argument{Name: "Flags", Value: "0"})
}

// CancelGroupOperation calls MSCluster_ResourceGroup.CancelOperation once: it cancels what is pending on the group. A
// move may be over by then, and stays what it is: read the group until it is stable.
func (h *Host) CancelGroupOperation(ctx context.Context, group string, notAfter time.Time) (Outcome, error) {
	return h.group(ctx, notAfter, group, "CancelOperation", wsman.Argument{Name: "Flags", Value: "0"})
}

// group calls a method of one group. These methods return nothing: what the cluster says of them is a fault with a
// Windows error, ERROR_IO_PENDING among them, which is none.
func (h *Host) group(ctx context.Context, notAfter time.Time, group, method string, args ...wsman.Argument) (Outcome, error) {
	op := fmt.Sprintf("%s of group %s by %s", method, group, h.name)
	r, err := h.client.Invoke(ctx, wsman.Call{
		Namespace: nsCluster, Class: "MSCluster_ResourceGroup", Keys: []wsman.Selector{{Name: "Name", Value: group}},
		Method: method, Arguments: args, NotAfter: notAfter,
	})
	if err == nil {
		return Outcome{Sent: true, Answered: true, Code: r.ReturnValue, LeftAt: r.LeftAt}, nil
	}
	var o Outcome
	var e *wsman.Error
	if errors.As(err, &e) {
		o.Sent, o.Unknown = e.Sent, e.Unknown()
		if code, ok := groupCode(e.Fault); ok {
			return Outcome{Sent: true, Answered: true, Code: uint32(code)}, nil
		}
	}
	return o, fmt.Errorf("%s: %w", op, err)
}

// groupCode finds the cluster's own word in a fault: the innermost HRESULT that wraps one of the cluster's Windows errors
// (HRESULT_FROM_WIN32, facility 7). An error of the way to the cluster, such as RPC's, is not the cluster's word: what it
// was asked may have been done.
func groupCode(f *wsman.Fault) (GroupCode, bool) {
	if f == nil {
		return 0, false
	}
	const facility, win32 = 0xFFFF0000, 0x80070000
	for _, c := range slices.Backward(append([]uint32{f.Code}, f.ProviderCodes...)) {
		if c&facility != win32 {
			continue
		}
		if code := GroupCode(c &^ facility); code.cluster() {
			return code, true
		}
	}
	return 0, false
}

// cluster reports whether a Windows error is one by which the cluster answers: those of the cluster (winerror.h, 5001 to
// 5099 and 5890 to 5999) and the few others that its functions are documented to return.
func (c GroupCode) cluster() bool {
	switch c {
	case GroupAccessDenied, GroupInvalidParameter, GroupWaitTimeout, GroupIOPending, GroupCancelled:
		return true
	default:
		return c >= 5001 && c <= 5099 || c >= 5890 && c <= 5999
	}
}

// parameters is the property list that tells the resources of a virtual machine what to do, byte by byte as the method
// takes it: the number of properties, and for each its name, its value and an end mark, every part padded to four bytes
// (learn.microsoft.com, "Property Lists", "MoveClusterGroupEx function": a property named "Virtual Machine" or "Virtual
// Machine Configuration" with a VM_RESDLL_CONTEXT).
func parameters(how VMContext) []wsman.Argument {
	var args []wsman.Argument
	for _, b := range propertyList(uint32(how), "Virtual Machine", "Virtual Machine Configuration") {
		args = append(args, wsman.Argument{Name: "Parameters", Value: strconv.Itoa(int(b))})
	}
	return args
}

// The syntaxes of a property list (clusapi.h, CLUSPROP_SYNTAX).
const (
	syntaxName    = 0x00040003 // CLUSPROP_SYNTAX_NAME
	syntaxDWORD   = 0x00010002 // CLUSPROP_SYNTAX_LIST_VALUE_DWORD
	syntaxEndmark = 0
)

// propertyList gives every name the same value.
func propertyList(value uint32, names ...string) []byte {
	list := binary.LittleEndian.AppendUint32(nil, uint32(len(names))) //nolint:gosec // two
	for _, name := range names {
		text := utf16.Encode([]rune(name + "\x00"))
		list = binary.LittleEndian.AppendUint32(list, syntaxName)
		list = binary.LittleEndian.AppendUint32(list, uint32(2*len(text))) //nolint:gosec // a resource type's name
		for _, unit := range text {
			list = binary.LittleEndian.AppendUint16(list, unit)
		}
		for len(list)%4 != 0 {
			list = append(list, 0)
		}
		list = binary.LittleEndian.AppendUint32(list, syntaxDWORD)
		list = binary.LittleEndian.AppendUint32(list, 4)
		list = binary.LittleEndian.AppendUint32(list, value)
		list = binary.LittleEndian.AppendUint32(list, syntaxEndmark)
	}
	return list
}
