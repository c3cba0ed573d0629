package wsmanserver

import "strings"

// The namespaces of the protocol (MS-WSMV 2.2.1; prefixes as Windows writes them).
const (
	nsSOAP        = "http://www.w3.org/2003/05/soap-envelope"
	nsSOAP11      = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddressing  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	nsTransfer    = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	nsWSMan       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsMicrosoft   = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
	nsIdentity    = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	nsFault       = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
	nsCIM         = "http://schemas.dmtf.org/wbem/wscim/1/common"
	nsXSI         = "http://www.w3.org/2001/XMLSchema-instance"
	nsXML         = "http://www.w3.org/XML/1998/namespace"

	anonymous   = nsAddressing + "/role/anonymous"
	wmiBase     = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
	dialectWQL  = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
	faultDetail = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

	actionGet       = nsTransfer + "/Get"
	actionEnumerate = nsEnumeration + "/Enumerate"
	actionPull      = nsEnumeration + "/Pull"
	actionRelease   = nsEnumeration + "/Release"
)

// resource is a WMI resource URI taken apart.
type resource struct {
	uri       string // as the client wrote it
	namespace string // lower case, slashes
	written   string // the namespace as the client wrote it
	class     string // "*" for a query
}

// parseResource takes a WMI resource URI apart.
func parseResource(uri string) (resource, bool) {
	if len(uri) < len(wmiBase) || !strings.EqualFold(uri[:len(wmiBase)], wmiBase) {
		return resource{}, false
	}
	path := uri[len(wmiBase):]
	cut := strings.LastIndexByte(path, '/')
	if cut <= 0 || cut == len(path)-1 || strings.ContainsAny(path, "?#&<> ") {
		return resource{}, false
	}
	return resource{uri: uri, namespace: strings.ToLower(path[:cut]), written: path[:cut], class: path[cut+1:]}, true
}

// classURI returns the URI of a class.
func classURI(namespace, class string) string { return wmiBase + namespace + "/" + class }
