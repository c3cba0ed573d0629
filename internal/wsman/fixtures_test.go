package wsman

// The fixtures show, with values of our own, what real servers send. Each says how we know: captured means that a
// recording of a real server shows this form, inferred that the form follows from recordings of other classes.

const (
	envelopeHead = `<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
		`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>` +
		`<a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/EnumerateResponse</a:Action>` +
		`<a:MessageID>uuid:11111111-2222-4333-8444-555555555555</a:MessageID>` +
		`<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To></s:Header><s:Body>`
	envelopeTail = `</s:Body></s:Envelope>`
)

// envelope wraps a body.
func envelope(body string) string { return envelopeHead + body + envelopeTail }

// fixtureComplete: one instance and the end in the first answer, both in the w: namespace, the context empty.
// Captured (Windows Server 2012), the form of select *: prefixed properties, NULL scalars nil, NULL arrays left out.
var fixtureComplete = envelope(`<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext><w:Items>` +
	`<p:Win32_OperatingSystem xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
	`xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_OperatingSystem" ` +
	`xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xsi:type="p:Win32_OperatingSystem_Type">` +
	`<p:CSName>SQL01</p:CSName><p:CSDVersion xsi:nil="true"/><p:Description></p:Description>` +
	`<p:Distributed>false</p:Distributed><p:FreePhysicalMemory>43588</p:FreePhysicalMemory>` +
	`<p:LastBootUpTime><cim:Datetime>2026-04-15T16:28:43.488171Z</cim:Datetime></p:LastBootUpTime>` +
	`<p:LocalDateTime><cim:Datetime>2026-04-15T20:28:20.913Z</cim:Datetime></p:LocalDateTime>` +
	`<p:InstallDate><cim:Datetime>2026-03-09T04:57:32+02:00</cim:Datetime></p:InstallDate>` +
	`<p:LastBackup><cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime></p:LastBackup>` +
	`<p:Delay><cim:Interval>P0DT0H30M0S</cim:Interval></p:Delay>` +
	`<p:MaxNumberOfProcesses>4294967295</p:MaxNumberOfProcesses><p:MUILanguages>en-US</p:MUILanguages>` +
	`<p:MUILanguages>ja-JP</p:MUILanguages></p:Win32_OperatingSystem></w:Items><w:EndOfSequence/></n:EnumerateResponse>`)

// fixtureFirst: one instance and a context, although there are more. Captured (2008 and 2012), as a projection.
var fixtureFirst = envelope(`<n:EnumerateResponse><n:EnumerationContext>uuid:CONTEXT-1</n:EnumerationContext><w:Items>` +
	fragment(`<Name>SQL01</Name><State>0</State><Priority>3000</Priority>`) + `</w:Items></n:EnumerateResponse>`)

// fixturePage: items in the n: namespace, the context after them (captured before them as well: order decides nothing).
var fixturePage = envelope(`<n:PullResponse><n:Items>` +
	fragment(`<Name>a &amp; b &lt;c&gt; &#x41;</Name><State>-1</State><Priority xsi:nil="true"/>`) +
	fragment(`<Name>SQL03</Name><State>4294967295</State>`) +
	`</n:Items><n:EnumerationContext>uuid:CONTEXT-2</n:EnumerationContext></n:PullResponse>`)

// fixtureLast: the final page has no context. Captured.
var fixtureLast = envelope(`<n:PullResponse><n:Items>` + fragment(`<Name>SQL04</Name><State>2</State>`) +
	`</n:Items><n:EndOfSequence/></n:PullResponse>`)

// fixtureEmbedded: an embedded instance as elements, with its class as the property's type. Inferred from captured
// method answers; no recording of root/MSCluster is public.
var fixtureEmbedded = envelope(`<n:EnumerateResponse><n:EnumerationContext/><w:Items>` +
	fragment(`<Name>Virtual Machine SQL01</Name><PrivateProperties xsi:type="q:MSCluster_Property_Type" `+
		`xmlns:q="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/MSCluster_Property">`+
		`<q:VmID>6f9619ff-8b86-d011-b42d-00c04fc964ff</q:VmID><q:OfflineAction>1</q:OfflineAction></PrivateProperties>`) +
	// The same with the instance's element inside, and as CIM-XML text (r4sd/go-wsman's notes on Hyper-V).
	fragment(`<Name>nested</Name><PrivateProperties><q:MSCluster_Property `+
		`xmlns:q="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/MSCluster_Property">`+
		`<q:VmID>6f9619ff-8b86-d011-b42d-00c04fc964ff</q:VmID><q:OfflineAction>1</q:OfflineAction></q:MSCluster_Property></PrivateProperties>`) +
	fragment(`<Name>text</Name><PrivateProperties>&lt;INSTANCE CLASSNAME="MSCluster_Property"&gt;`+
		`&lt;QUALIFIER NAME="x" TYPE="string"&gt;&lt;VALUE&gt;no&lt;/VALUE&gt;&lt;/QUALIFIER&gt;`+
		`&lt;PROPERTY NAME="VmID" TYPE="string"&gt;&lt;VALUE&gt;6f9619ff-8b86-d011-b42d-00c04fc964ff&lt;/VALUE&gt;&lt;/PROPERTY&gt;`+
		`&lt;PROPERTY NAME="Nothing" TYPE="string"/&gt;`+
		`&lt;PROPERTY.ARRAY NAME="Many" TYPE="uint16"&gt;&lt;VALUE.ARRAY&gt;&lt;VALUE&gt;1&lt;/VALUE&gt;&lt;VALUE&gt;2&lt;/VALUE&gt;&lt;/VALUE.ARRAY&gt;&lt;/PROPERTY.ARRAY&gt;`+
		`&lt;PROPERTY NAME="OfflineAction" TYPE="uint32"&gt;&lt;VALUE&gt;1&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;</PrivateProperties>`) +
	`</w:Items><w:EndOfSequence/></n:EnumerateResponse>`)

// fixtureReference: an association's references, bare and wrapped. Inferred from captured out-parameters (a:Address,
// a:ReferenceParameters with w:ResourceURI and w:SelectorSet).
var fixtureReference = envelope(`<n:EnumerateResponse><n:EnumerationContext/><w:Items>` +
	fragment(`<Antecedent>`+reference("MSSQLSERVER")+`</Antecedent>`+
		`<Dependent><a:EndpointReference>`+reference("SQLSERVERAGENT")+`</a:EndpointReference></Dependent>`+
		`<Path>\\SQL01\root\cimv2:Win32_Service.Name="a\"b,c",Other=1</Path>`) +
	`</w:Items><w:EndOfSequence/></n:EnumerateResponse>`)

// fixtureItem: objects with their references beside them (EnumerationMode EnumerateObjectAndEPR, DSP0226 8.7).
var fixtureItem = envelope(`<n:PullResponse><n:EnumerationContext>c</n:EnumerationContext><n:Items><w:Item>` +
	`<p:MSCluster_Node xmlns:p="urn:x"><p:Name>HV1</p:Name></p:MSCluster_Node><a:EndpointReference>` + reference("HV1") +
	`</a:EndpointReference></w:Item></n:Items></n:PullResponse>`)

// fixtureIdentify: the answer to Identify. Captured (Windows), values ours.
const fixtureIdentify = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>` +
	`<wsmid:IdentifyResponse xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">` +
	`<wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</wsmid:ProtocolVersion>` +
	`<wsmid:ProductVendor>Hypervigil lab</wsmid:ProductVendor>` +
	`<wsmid:ProductVersion>OS: 10.0.20348 SP: 0.0 Stack: 3.0</wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>`

// fixtureClassFault: a class that does not exist, the provider's fault inside the service's. Captured (2008 R2),
// pretty-printed and with other prefixes than we would choose.
var fixtureClassFault = envelope(`
      <s:Fault>
        <s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>enum:CannotProcessFilter</s:Value></s:Subcode></s:Code>
        <s:Reason><s:Text xml:lang="">
           The data source could
           not process the filter. </s:Text></s:Reason>
        <s:Detail>
          <f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150858778" Machine="sql01">
            <f:Message><f:ProviderFault path="%systemroot%\system32\WsmWmiPl.dll" provider="WMI Provider">
              <f:WSManFault Code="2150858778" Machine="SQL01"><f:Message>The specified class does not exist. </f:Message></f:WSManFault>
              <f:ExtendedError><p:__ExtendedStatus xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/__ExtendedStatus" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
                <p:Description xsi:nil="true"/><p:Operation>ExecQuery</p:Operation><p:StatusCode xsi:nil="true"/>
              </p:__ExtendedStatus></f:ExtendedError>
            </f:ProviderFault></f:Message>
          </f:WSManFault>
        </s:Detail>
      </s:Fault>`)

// fixtureWMIError: MSFT_WmiError without a WSManFault. Captured (2012), another code.
var fixtureWMIError = envelope(`<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:AccessDenied</s:Value></s:Subcode></s:Code>` +
	`<s:Reason><s:Text xml:lang="de-DE">Zugriff verweigert</s:Text></s:Reason><s:Detail>` +
	`<p:MSFT_WmiError xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError" xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" ` +
	`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="p:MSFT_WmiError_Type">` +
	`<p:CIMStatusCode xsi:type="cim:cimUnsignedInt">2</p:CIMStatusCode><p:Message xsi:type="cim:cimString">Zugriff verweigert, genauer</p:Message>` +
	`<p:MessageID xsi:type="cim:cimString">HRESULT 0x80041003</p:MessageID><p:error_Code xsi:type="cim:cimUnsignedInt">2147749891</p:error_Code>` +
	`</p:MSFT_WmiError></s:Detail></s:Fault>`)

// wsmanFault is a fault with one number, the form of w:TimedOut, w:QuotaLimit and most others. Captured.
func wsmanFault(subcode, code string) string {
	return envelope(`<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:` + subcode + `</s:Value></s:Subcode></s:Code>` +
		`<s:Reason><s:Text xml:lang="en-US">text</s:Text></s:Reason><s:Detail><f:WSManFault ` +
		`xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="` + code + `" Machine="x"><f:Message>said</f:Message></f:WSManFault></s:Detail></s:Fault>`)
}

// fragment is one row of a projection: un-namespaced properties. Captured.
func fragment(props string) string {
	return `<w:XmlFragment xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + props + `</w:XmlFragment>`
}

// reference is the inside of an endpoint reference.
func reference(name string) string {
	return `<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters>` +
		`<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service</w:ResourceURI>` +
		`<w:SelectorSet><w:Selector Name="Name">` + name + `</w:Selector></w:SelectorSet></a:ReferenceParameters>`
}

// methodOutput is the answer of a method. Captured, for other methods.
func methodOutput(class, method, props string) string {
	return envelope(`<p:` + method + `_OUTPUT xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/` + class + `">` +
		props + `</p:` + method + `_OUTPUT>`)
}
