package lab_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/peers"
)

// exported finds a value among the lines that the lab prints for a shell.
func exported(t *testing.T, l *lab.Lab, name string) string {
	t.Helper()
	for _, line := range l.Exports() {
		if value, ok := strings.CutPrefix(line, "export HYPERVIGIL_LAB_"+name+"="); ok {
			return value
		}
	}
	t.Fatalf("the lab exports no %s", name)
	return ""
}

// runPeer runs a program for at most 30 s and returns all it printed; its exit code differs between versions, and what
// it printed is judged.
func runPeer(t *testing.T, env []string, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() != nil {
		t.Fatalf("%s did not end in 30 s; it printed %s", name, out)
	}
	return string(out)
}

// TestFreeTDSUsesTheLab logs in with FreeTDS' tsql, verifies the instance's certificate by the lab's authority, and
// selects; after a crash of the service there is nobody to log in to.
func TestFreeTDSUsesTheLab(t *testing.T) {
	t.Parallel()
	tsql := peers.Need(t, "tsql")
	l := startLab(t)
	conf := filepath.Join(t.TempDir(), "freetds.conf")
	var text strings.Builder
	for section, name := range map[string]string{"first": "SQL01/MSSQLSERVER", "second": "SQL03/REPORTING"} {
		host, port, err := net.SplitHostPort(l.Address(name))
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("[" + section + "]\nhost = " + host + "\nport = " + port + "\ntds version = 7.4\nencryption = require\nca file = " + l.CAFile() +
			"\ncheck certificate hostname = no\n")
	}
	if err := os.WriteFile(conf, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(section, password string) string {
		return runPeer(t, []string{"FREETDSCONF=" + conf, "LC_ALL=C.UTF-8"},
			"select name, state_desc from sys.databases where database_id > 4\ngo\nselect cast(serverproperty('ServerName') as sysname)\ngo\n",
			tsql, "-S", section, "-U", exported(t, l, "SQL_USER"), "-P", password)
	}
	password := exported(t, l, "SQL_PASSWORD")
	for section, server := range map[string]string{"first": "SQL01", "second": `SQL03\REPORTING`} {
		got := ask(section, password)
		for _, want := range []string{"sales\tONLINE", "archive\tOFFLINE", "(2 rows affected)", server} {
			if !strings.Contains(got, want) {
				t.Errorf("tsql at %s does not say %q:\n%s", server, want, got)
			}
		}
	}
	if got := ask("first", "wrong"); !strings.Contains(got, "18456") || strings.Contains(got, "sales") {
		t.Errorf("tsql with a wrong password: %s", got)
	}
	if _, err := l.Inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"}); err != nil {
		t.Fatal(err)
	}
	if got := ask("first", password); strings.Contains(got, "sales") || !strings.Contains(got, "20009") { // DBPROCESS unable to connect
		t.Errorf("tsql after the crash: %s", got)
	}
	if got := ask("second", password); !strings.Contains(got, "sales") {
		t.Errorf("tsql at another machine after the crash: %s", got)
	}
}

// readGroups enumerates the cluster's groups with pywinrm's transport and authentication, page by page; the envelope is
// ours to write, since pywinrm itself only runs shells.
const readGroups = `
import os, sys, xml.etree.ElementTree as ET
from winrm.protocol import Protocol
from winrm.exceptions import InvalidCredentialsError

endpoint, ca, user = sys.argv[1:4]
N = '{http://schemas.xmlsoap.org/ws/2004/09/enumeration}'
W = '{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}'

def envelope(action, body):
    return ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>'
        '<a:To>' + endpoint + '</a:To><w:ResourceURI s:mustUnderstand="true">http://schemas.microsoft.com/wbem/wsman/1/wmi/root/MSCluster/*</w:ResourceURI>'
        '<a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>'
        '<a:Action s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/09/enumeration/' + action + '</a:Action>'
        '<w:MaxEnvelopeSize s:mustUnderstand="true">153600</w:MaxEnvelopeSize><a:MessageID>uuid:0A7A7A7A-0000-4000-8000-000000000002</a:MessageID>'
        '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/><w:OperationTimeout>PT20S</w:OperationTimeout></s:Header>'
        '<s:Body>' + body + '</s:Body></s:Envelope>')

def ask(password, action, body):
    return ET.fromstring(Protocol(endpoint=endpoint, transport='ssl', username=user, password=password,
        server_cert_validation='validate', ca_trust_path=ca).send_message(envelope(action, body)))

root = ask(os.environ['LAB_PASSWORD'], 'Enumerate', '<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>2</w:MaxElements>'
    '<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">select Name, OwnerNode, State from MSCluster_ResourceGroup where IsCore = false</w:Filter></n:Enumerate>')
groups, pages = [], 1
while True:
    for item in root.iter():
        names = {c.tag.split('}')[-1]: c.text for c in item}
        if {'Name', 'OwnerNode', 'State'} <= set(names):
            groups.append('%(Name)s on %(OwnerNode)s: %(State)s' % names)
    if root.find('.//' + N + 'EndOfSequence') is not None or root.find('.//' + W + 'EndOfSequence') is not None:
        break
    pages += 1
    root = ask(os.environ['LAB_PASSWORD'], 'Pull', '<n:Pull><n:EnumerationContext>' + root.find('.//' + N + 'EnumerationContext').text
        + '</n:EnumerationContext><n:MaxElements>2</n:MaxElements></n:Pull>')
print('\n'.join(groups))
print(pages, 'pages')
try:
    ask('guess', 'Enumerate', '<n:Enumerate/>')
except InvalidCredentialsError:
    print('credentials rejected')
`

// TestPywinrmUsesTheLab reads MSCluster_ResourceGroup of a node as the reader.
func TestPywinrmUsesTheLab(t *testing.T) {
	t.Parallel()
	python := peers.Need(t, "python3:winrm")
	l := startLab(t)
	got := runPeer(t, []string{
		"LAB_PASSWORD=" + exported(t, l, "READER_PASSWORD"),
		// Neither a proxy nor a list of authorities of the machine's own shall have a say.
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE=",
	}, "", python, "-W", "error::UserWarning", "-c", readGroups, exported(t, l, "WINRM_HV2"), l.CAFile(), exported(t, l, "READER_USER"))
	want := "SQL01 on HV1: 0\nSCVMM SQL02 Resources on HV2: 0\nSQL03 on HV3: 0\nSQL04 on HV2: 0\nDC01 on HV3: 0\n3 pages\ncredentials rejected\n"
	if got != want {
		t.Errorf("pywinrm says %q, want %q", got, want)
	}
}
