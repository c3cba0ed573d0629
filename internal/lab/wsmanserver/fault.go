package wsmanserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Code is the number of a fault: what a client must go by, for the text is in the server's language.
type Code uint32

// The numbers, from wsmerror.h of the Windows SDK; which request gets which is captured, documented or inferred as
// said where it is sent.
const (
	CodeAccessDenied          Code = 5
	CodeNotFound              Code = 0x80338000
	CodeEndpointUnavailable   Code = 0x80338014
	CodeVersionMismatch       Code = 0x8033800D
	CodeInvalidHeader         Code = 0x8033800F
	CodeMustUnderstand        Code = 0x80338010
	CodeMissingHeader         Code = 0x80338011
	CodeActionNotSupported    Code = 0x80338013
	CodeExpirationUnsupported Code = 0x80338017
	CodeDialectUnavailable    Code = 0x80338019
	CodeCannotProcessFilter   Code = 0x8033801A
	CodeInvalidContext        Code = 0x8033801B
	CodeInvalidBody           Code = 0x80338027
	CodeTimedOut              Code = 0x80338029
	CodeInvalidResourceURI    Code = 0x8033803B
	CodeSchemaValidation      Code = 0x80338041
	CodeEnvelopeExceeded      Code = 0x80338048
	CodeCharacterSet          Code = 0x8033804C
	CodeUnreportableSuccess   Code = 0x8033804D
	CodeOptionsUnsupported    Code = 0x80338051
	CodeInvalidNamespace      Code = 0x80338058
	CodeMissingSelectors      Code = 0x8033805A
	CodeUnexpectedSelectors   Code = 0x8033805B
	CodeInvalidSelectorValue  Code = 0x8033805D
	CodeDuplicateSelectors    Code = 0x8033805F
	CodeFragmentUnsupported   Code = 0x80338077
	CodeEnvelopeTooSmall      Code = 0x8033807E
	CodeInvalidTimeout        Code = 0x80338081
	CodeEnumerationMode       Code = 0x80338086
	CodeLocaleUnsupported     Code = 0x80338087
	CodeNotSingleton          Code = 0x803380FA
	CodeQueryNeedsStar        Code = 0x803380FB
	CodeNotCapable            Code = 0x80338102
	CodeWMIAccessDenied       Code = 0x80338104
	CodeEnumerateWithKeys     Code = 0x80338108
	CodeInvalidParameter      Code = 0x8033811E
	CodeTooManyOperations     Code = 0x803381A6
)

// FaultShape is the form in which details of a fault are written.
type FaultShape int

// The shapes that Windows uses (captured).
const (
	// FaultWSMan is a WSManFault, and within its message a ProviderFault where the provider failed.
	FaultWSMan FaultShape = iota
	// FaultWMIError is an MSFT_WmiError and no WSManFault.
	FaultWMIError
)

// Fault is a SOAP fault. It is an error, so that a Provider can return one of its own.
type Fault struct {
	// Code is the number; of Windows' own (0x80070000 + Win32) where it is no WS-Management error.
	Code Code
	// Subcode with the prefix under which Windows writes its namespace: "w:InvalidSelectors".
	Subcode string
	// Receiver says that the trouble is the server's, not the request's.
	Receiver bool
	// Reason is the text for people, in the server's language.
	Reason Text
	// Detail is the last part of the protocol's faultDetail URI, where there is one.
	Detail string
	// Provider is set where the fault comes from behind the server, nested in the answer.
	Provider *ProviderDetail

	notUnderstood string // the header, as "{namespace}name"
}

// ProviderDetail is what the provider said.
type ProviderDetail struct {
	Code    Code
	Message Text
	// Operation and Parameter are WMI's: "ExecQuery" and the query.
	Operation, Parameter string
}

// Text is a sentence in the languages that the server speaks.
type Text struct{ English, Japanese string }

// in returns the sentence in a language; English where there is no other.
func (t Text) in(locale string) string {
	if locale == "ja-JP" && t.Japanese != "" {
		return t.Japanese
	}
	return t.English
}

// Error names the number and the sentence.
func (f *Fault) Error() string {
	return fmt.Sprintf("fault %s %d (0x%08x): %s", f.Subcode, uint32(f.Code), uint32(f.Code), f.Reason.English)
}

// sender is a fault for a request that is wrong.
func sender(code Code, subcode, detail string, reason Text) *Fault {
	return &Fault{Code: code, Subcode: subcode, Detail: detail, Reason: reason}
}

// fromProvider nests what the provider said, as WsmWmiPl.dll does.
func (f *Fault) fromProvider(message Text, operation, parameter string) *Fault {
	f.Provider = &ProviderDetail{Code: f.Code, Message: message, Operation: operation, Parameter: parameter}
	return f
}

// The faults. Where no source is named, number and subcode are from wsmerror.h, whose comments name the subcode.

func faultAccessDenied() *Fault { // captured
	return sender(CodeAccessDenied, "w:AccessDenied", "", Text{"Access is denied.", "アクセスが拒否されました。"})
}

func faultNotFound() *Fault { // captured for a missing instance: github.com/microsoft/omi/issues/254
	return sender(CodeNotFound, "a:DestinationUnreachable", "InvalidResourceURI", Text{
		"The service cannot find the resource identified by the resource URI and selectors.",
		"リソース URI とセレクターで識別されるリソースが見つかりません。",
	})
}

func faultUnknownResource() *Fault { // captured: github.com/jborean93/pypsrp/issues/192
	return sender(CodeInvalidResourceURI, "a:DestinationUnreachable", "InvalidResourceURI", Text{
		"The resource URI is missing or is not in the catalog.",
		"リソース URI がないか、カタログに存在しません。",
	})
}

func faultUnknownAction() *Fault {
	return sender(CodeActionNotSupported, "a:ActionNotSupported", "", Text{
		"The service does not support the action specified in the request.",
		"要求で指定されたアクションはサポートされていません。",
	})
}

func faultMissingHeader() *Fault {
	return sender(CodeMissingHeader, "a:MessageInformationHeaderRequired", "", Text{
		"The request does not have all the expected SOAP headers.",
		"必要な SOAP ヘッダーが要求にありません。",
	})
}

func faultInvalidHeader() *Fault {
	return sender(CodeInvalidHeader, "a:InvalidMessageInformationHeader", "", Text{
		"The request contains one or more invalid SOAP headers.",
		"要求に無効な SOAP ヘッダーが含まれています。",
	})
}

func faultMustUnderstand(header string) *Fault {
	f := sender(CodeMustUnderstand, "", "", Text{
		"A SOAP header that is marked as mustUnderstand is not understood.",
		"mustUnderstand と指定された SOAP ヘッダーを処理できません。",
	})
	f.notUnderstood = header
	return f
}

func faultVersionMismatch() *Fault {
	return sender(CodeVersionMismatch, "", "", Text{
		"The service does not support the SOAP version of the request.",
		"要求の SOAP バージョンはサポートされていません。",
	})
}

func faultInvalidBody() *Fault {
	return sender(CodeInvalidBody, "w:InvalidBody", "", Text{
		"The request does not have a valid SOAP body.",
		"要求に有効な SOAP 本文がありません。",
	})
}

func faultSchema() *Fault {
	return sender(CodeSchemaValidation, "w:SchemaValidationError", "", Text{
		"The SOAP XML in the message does not match the corresponding XML schema definition.",
		"メッセージの SOAP XML が XML スキーマ定義と一致しません。",
	})
}

func faultParameterNamespace() *Fault {
	return sender(CodeInvalidNamespace, "w:SchemaValidationError", "", Text{
		"The XML namespace of the method's input is not that of the resource.",
		"メソッド入力の XML 名前空間が無効です。",
	})
}

func faultCannotProcessFilter() *Fault { // captured
	return sender(CodeCannotProcessFilter, "n:CannotProcessFilter", "", Text{
		"The data source could not process the filter. The filter might be missing or it might be invalid.",
		"データ ソースはフィルターを処理できませんでした。",
	})
}

func faultDialect() *Fault {
	return sender(CodeDialectUnavailable, "n:FilterDialectRequestedUnavailable", "", Text{
		"The filter dialect is not supported for this resource.",
		"フィルターの言語はこのリソースではサポートされていません。",
	})
}

func faultQueryNeedsStar() *Fault {
	return sender(CodeQueryNeedsStar, "w:InvalidSelectors", "", Text{
		"The resource URI of an enumeration with a WQL filter must not contain keys, and its class must be *.",
		"WQL フィルターによる列挙のリソース URI にはキーを含めず、クラス名は * でなければなりません。",
	})
}

func faultEnumerateWithKeys() *Fault {
	return sender(CodeEnumerateWithKeys, "w:InvalidSelectors", "", Text{
		"The resource URI for an Enumerate operation must not contain keys.",
		"列挙操作のリソース URI にキーを含めることはできません。",
	})
}

func faultInvalidContext() *Fault {
	f := sender(CodeInvalidContext, "n:InvalidEnumerationContext", "", Text{
		"The enumeration context is not valid. The enumeration may have been completed or cancelled.",
		"列挙コンテキストが無効です。",
	})
	f.Receiver = true
	return f
}

func faultTimedOut() *Fault { // captured
	f := sender(CodeTimedOut, "w:TimedOut", "", Text{
		"The service cannot complete the operation within the time specified in OperationTimeout.",
		"OperationTimeout で指定された時間内に操作を完了できません。",
	})
	f.Receiver = true
	return f
}

func faultTooManyOperations(limit int) *Fault { // captured
	n := strconv.Itoa(limit)
	f := sender(CodeTooManyOperations, "w:InternalError", "", Text{
		"This user is allowed a maximum number of " + n + " concurrent operations, which has been exceeded.",
		"このユーザーの同時操作の最大数 " + n + " を超えました。",
	})
	f.Receiver = true
	return f
}

func faultEnvelopeExceeded() *Fault {
	f := sender(CodeEnvelopeExceeded, "w:EncodingLimit", "MaxEnvelopeSize", Text{
		"The computed response exceeds the maximum envelope size in the request.",
		"応答が要求の最大エンベロープ サイズを超えています。",
	})
	f.Receiver = true
	return f
}

func faultUnreportable() *Fault {
	f := sender(CodeUnreportableSuccess, "w:EncodingLimit", "UnreportableSuccess", Text{
		"The operation succeeded and cannot be reversed but the result is too large to send.",
		"操作は成功しましたが、結果が大きすぎて送信できません。",
	})
	f.Receiver = true
	return f
}

func faultEnvelopeTooSmall() *Fault {
	return sender(CodeEnvelopeTooSmall, "w:EncodingLimit", "MinimumEnvelopeLimit", Text{
		"The envelope size in the request is too small.",
		"要求のエンベロープ サイズが小さすぎます。",
	})
}

func faultCharacterSet() *Fault {
	return sender(CodeCharacterSet, "w:EncodingLimit", "CharacterSet", Text{
		"The service does not support the character set of the request. Use UTF-8.",
		"要求の文字セットはサポートされていません。UTF-8 を使用してください。",
	})
}

func faultInvalidTimeout() *Fault {
	return sender(CodeInvalidTimeout, "w:SchemaValidationError", "", Text{
		"The timeout header in the request is invalid.",
		"要求のタイムアウト ヘッダーが無効です。",
	})
}

func faultOptions() *Fault {
	return sender(CodeOptionsUnsupported, "w:InvalidOptions", "NotSupported", Text{
		"The provider does not support an option for which mustComply is true.",
		"mustComply が true のオプションはサポートされていません。",
	})
}

func faultFeature(code Code, detail string, reason Text) *Fault {
	return sender(code, "w:UnsupportedFeature", detail, reason)
}

func faultSelectors(code Code, detail string) *Fault {
	return sender(code, "w:InvalidSelectors", detail, Text{
		"The selectors for the resource are not valid.",
		"リソースのセレクターが無効です。",
	})
}

func faultNotSingleton() *Fault { // captured: learn.microsoft.com, "Scripting in Windows Remote Management"
	return sender(CodeNotSingleton, "w:InvalidSelectors", "InsufficientSelectors", Text{
		"The resource URI does not contain keys, but the class selected is not a singleton.",
		"リソース URI にキーがありませんが、選択されたクラスはシングルトンではありません。",
	}).fromProvider(Text{"The class is not a singleton.", "クラスはシングルトンではありません。"}, "", "")
}

// WMI's own sentences.
func textUnknownClass() Text {
	return Text{"The specified class does not exist in the given namespace.", "指定されたクラスは名前空間に存在しません。"}
}

func textUnknownNamespace() Text {
	return Text{"The specified namespace does not exist.", "指定された名前空間は存在しません。"}
}

// providerFault finds the fault for what a Provider returned. query is the WQL text, or empty where the resource
// URI named the class. It is nil where the client is gone.
func providerFault(err error, query string) *Fault {
	var own *Fault
	var number *ProviderError
	operation := ""
	if query != "" {
		operation = "ExecQuery"
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.DeadlineExceeded):
		return faultTimedOut()
	case errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, ErrUnknownClass) && query != "": // captured
		return faultCannotProcessFilter().fromProvider(textUnknownClass(), operation, query)
	case errors.Is(err, ErrUnknownClass): // number inferred
		return faultNotFound().fromProvider(textUnknownClass(), operation, query)
	case errors.Is(err, ErrUnknownNamespace): // number inferred
		return faultNotFound().fromProvider(textUnknownNamespace(), operation, query)
	case errors.Is(err, ErrUnknownInstance):
		return faultNotFound().fromProvider(faultNotFound().Reason, operation, query)
	case errors.Is(err, ErrUnknownMethod): // inferred
		return faultUnknownAction().fromProvider(faultUnknownAction().Reason, operation, query)
	case errors.Is(err, ErrInvalidParameter):
		f := sender(CodeInvalidParameter, "w:InvalidParameter", "", Text{
			"The WMI provider returned an 'invalid parameter' error.",
			"WMI プロバイダーが '無効なパラメーター' エラーを返しました。",
		})
		return f.fromProvider(f.Reason, operation, query)
	case errors.Is(err, ErrAccessDenied):
		f := sender(CodeWMIAccessDenied, "w:AccessDenied", "", Text{
			"The WMI service returned an 'access denied' error.",
			"WMI サービスが 'アクセスが拒否されました' エラーを返しました。",
		})
		return f.fromProvider(f.Reason, operation, query)
	case errors.As(err, &number):
		return faultHRESULT(number, operation, query)
	}
	// WBEM_E_FAILED (MS-WMI 2.2.11); the Provider's words stay in the log.
	return faultHRESULT(&ProviderError{HRESULT: 0x80041001}, operation, query)
}

// faultHRESULT is how the service passes a number of Windows' own on: "returned an unknown error: HRESULT …".
func faultHRESULT(e *ProviderError, operation, query string) *Fault {
	hex := fmt.Sprintf("0x%08x", e.HRESULT)
	f := sender(Code(e.HRESULT), "w:InternalError", "", Text{
		"The WMI service or the WMI provider returned an unknown error: HRESULT " + hex,
		"WMI サービスまたは WMI プロバイダーが不明なエラーを返しました: HRESULT " + hex,
	})
	f.Receiver = true
	message := f.Reason
	if e.Message != "" {
		message = Text{English: e.Message}
	}
	return f.fromProvider(message, operation, query)
}

// action is the WS-Addressing action under which the fault is sent (captured for a, n and w).
func (f *Fault) action() string {
	switch {
	case len(f.Subcode) > 2 && f.Subcode[:2] == "a:":
		return nsAddressing + "/fault"
	case len(f.Subcode) > 2 && f.Subcode[:2] == "n:":
		return nsEnumeration + "/fault"
	case len(f.Subcode) > 2 && f.Subcode[:2] == "x:":
		return nsTransfer + "/fault"
	}
	return "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
}

// value is the SOAP fault code.
func (f *Fault) value() string {
	switch {
	case f.Code == CodeMustUnderstand:
		return "s:MustUnderstand"
	case f.Code == CodeVersionMismatch:
		return "s:VersionMismatch"
	case f.Receiver:
		return "s:Receiver"
	}
	return "s:Sender"
}

// appendBody writes s:Fault.
func (f *Fault) appendBody(b []byte, sh FaultShape, machine, locale string) []byte {
	b = append(b, `<s:Fault><s:Code><s:Value>`+f.value()+`</s:Value>`...)
	if f.Subcode != "" {
		b = append(b, `<s:Subcode><s:Value>`+f.Subcode+`</s:Value></s:Subcode>`...)
	}
	b = append(b, `</s:Code><s:Reason><s:Text xml:lang="`...)
	b = append(appendText(b, locale), `">`...)
	b = appendText(b, f.Reason.in(locale))
	b = append(b, `</s:Text></s:Reason><s:Detail>`...)
	if f.Detail != "" {
		b = append(b, `<w:FaultDetail>`+faultDetail+f.Detail+`</w:FaultDetail>`...)
	}
	switch sh {
	case FaultWSMan:
		b = f.appendWSManFault(b, machine, locale)
	case FaultWMIError:
		b = f.appendWMIError(b, locale)
	}
	return append(b, `</s:Detail></s:Fault>`...)
}

// appendWSManFault writes the usual detail.
func (f *Fault) appendWSManFault(b []byte, machine, locale string) []byte {
	b = openWSManFault(b, f.Code, machine)
	if p := f.Provider; p != nil {
		b = append(b, `<f:ProviderFault provider="WMI Provider" path="%systemroot%\system32\WsmWmiPl.dll">`...)
		b = openWSManFault(b, p.Code, machine)
		b = appendText(b, p.Message.in(locale))
		b = append(b, `</f:Message></f:WSManFault>`...)
		if p.Operation != "" {
			b = append(b, `<f:ExtendedError>`...)
			// Strings and NULLs only: it cannot fail.
			b, _ = appendInstance(b, "root/cimv2", Instance{Class: "__ExtendedStatus", Properties: []Property{
				{"Description", nil},
				{"Operation", p.Operation},
				{"ParameterInfo", p.Parameter},
				{"ProviderName", "WinMgmt"},
				{"StatusCode", nil},
			}}, nil)
			b = append(b, `</f:ExtendedError>`...)
		}
		b = append(b, `</f:ProviderFault>`...)
	} else {
		b = appendText(b, f.Reason.in(locale))
	}
	return append(b, `</f:Message></f:WSManFault>`...)
}

// openWSManFault writes a WSManFault up to its message's text.
func openWSManFault(b []byte, code Code, machine string) []byte {
	b = append(b, `<f:WSManFault xmlns:f="`+nsFault+`" Code="`...)
	b = strconv.AppendUint(b, uint64(code), 10)
	b = append(b, `" Machine="`...)
	b = appendText(b, machine)
	return append(b, `"><f:Message>`...)
}

// appendWMIError writes the other detail: every property has its type, and no WSManFault is there.
func (f *Fault) appendWMIError(b []byte, locale string) []byte {
	const class = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
	message := f.Reason
	if f.Provider != nil {
		message = f.Provider.Message
	}
	b = append(b, `<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" xmlns:cim="`+
		nsCIM+`" xmlns:p="`+class+`" xmlns:xsi="`+nsXSI+`" xsi:type="p:MSFT_WmiError_Type">`...)
	for _, p := range []struct{ name, kind, value string }{
		{"CIMStatusCode", "cimUnsignedInt", strconv.Itoa(f.cimStatus())},
		{"ErrorType", "cimUnsignedShort", "0"},
		{"Message", "cimString", message.in(locale)},
		{"MessageID", "cimString", fmt.Sprintf("HRESULT 0x%08x", uint32(f.Code))},
		{"PerceivedSeverity", "cimUnsignedShort", "0"},
		{"ProbableCause", "cimUnsignedShort", "0"},
		{"error_Category", "cimUnsignedInt", "30"},
		{"error_Code", "cimUnsignedInt", strconv.FormatUint(uint64(f.Code), 10)},
		{"error_Type", "cimString", "HRESULT"},
		{"error_WindowsErrorMessage", "cimString", f.Reason.in(locale)},
	} {
		b = append(b, `<p:`+p.name+` xsi:type="cim:`+p.kind+`">`...)
		b = appendText(b, p.value)
		b = append(b, `</p:`+p.name+`>`...)
	}
	return append(b, `</p:MSFT_WmiError>`...)
}

// cimStatus is DSP0200's status code; 27 (captured) where there is none that says more.
func (f *Fault) cimStatus() int {
	switch f.Code {
	case CodeAccessDenied, CodeWMIAccessDenied:
		return 2
	case CodeInvalidParameter:
		return 4
	case CodeNotFound:
		return 6
	case CodeActionNotSupported:
		return 7
	case CodeCannotProcessFilter:
		return 15
	default:
		return 27
	}
}
