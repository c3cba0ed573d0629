package guard

// neverTouch is G18's list: a domain controller, this program's own hosts. The sender refuses them again, below
// all policy.
func neverTouch(in Input) Verdict {
	if in.NeverTouch {
		return refuse("never_touch", "%s is on receiver.never_touch", in.Subject.VM)
	}
	return pass("%s is not on receiver.never_touch", in.Subject.VM)
}
