package config

import (
	"net/url"
	"regexp"
)

// Application is something in a virtual machine besides SQL Server that is watched from outside, by one or more of three
// signs. It is watched only: nothing is done about it.
type Application struct {
	TCP            string `yaml:"tcp"`             // host:port that has to take a connection
	HTTP           string `yaml:"http"`            // URL that has to answer with a status from 200 to 299
	WindowsService string `yaml:"windows_service"` // name of the service that has to run
}

// serviceForm is what a Windows service may be called: up to 256 characters, neither slash nor backslash
// (learn.microsoft.com, "CreateServiceW function"). Control characters are our own limit.
var serviceForm = regexp.MustCompile(`^[^/\\\x00-\x1f]{1,256}$`)

// application checks what a virtual machine's application is known by.
func (v *validator) application(path string, vm *VirtualMachine) {
	a := vm.Application
	if *a == (Application{}) {
		v.check(path, "names nothing to watch; give at least one of tcp, http or windows_service")
		return
	}
	if a.TCP != "" {
		if why := checkAddress(a.TCP, portRequired); why != "" {
			v.check(path+".tcp", "%s", why)
		}
	}
	if a.HTTP != "" {
		v.applicationURL(path+".http", a.HTTP)
	}
	switch {
	case a.WindowsService == "":
	case !serviceForm.MatchString(a.WindowsService):
		v.check(path+".windows_service", "%s is not the name of a Windows service; use its name, not its display name, without slashes", quote(a.WindowsService))
	case vm.Guest.Address == "":
		v.check(path+".windows_service", "needs guest.address: the guest is asked for the service")
	}
}

func (v *validator) applicationURL(path, s string) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The error of url.Parse repeats the value, which may have a password in it.
		v.check(path, "is not a URL; use for example https://app.corp.example/health")
	case u.User != nil:
		v.check(path, "%s has a user name in it; a secret does not stand in the file", quote(u.Redacted()))
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		v.check(path, "%s is not allowed; use http://host/path or https://host/path", quote(s))
	}
}
