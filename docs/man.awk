# Makes the man page of docs/reference.md, of the Markdown that is used there:
#   awk -v version=VERSION -v date=DATE -f docs/man.awk docs/reference.md
BEGIN {
	printf ".TH SOFT_DELETE 7 \"%s\" \"soft_delete %s\" PostgreSQL\n", date, version
	print ".SH NAME"
	print "soft_delete \\- PostgreSQL extension: DELETE that loses nothing"
	print ".SH DESCRIPTION"
	# what comes before the next paragraph: ".PP", or "none" after a heading
	after = "none"
}

# literal TEXT: as it is
function literal(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	gsub(/`/, "\\(ga", text)
	gsub(/\^/, "\\(ha", text)
	gsub(/~/, "\\(ti", text)
	gsub(/'/, "\\(aq", text)
	return text
}

# inline TEXT: code and bold text in bold, emphasis in italics, links as their words
function inline(text,    parts, n, i, result) {
	while (match(text, /\]\([^)]*\)/)) text = substr(text, 1, RSTART - 1) "\001" substr(text, RSTART + RLENGTH)
	gsub(/\[/, "\002", text)
	n = split(text, parts, "`")
	for (i = 1; i <= n; i++) {
		if (i % 2) {
			# a bracket in front of a link's words; another one is text
			if (index(text, "\001")) gsub("\002", "", parts[i])
			gsub("\001", "", parts[i])
			gsub("\002", "[", parts[i])
			gsub(/\\/, "\\e", parts[i])
			while (match(parts[i], /\*\*[^*]*\*\*/))
				parts[i] = substr(parts[i], 1, RSTART - 1) "\\fB" substr(parts[i], RSTART + 2, RLENGTH - 4) "\\fR" substr(parts[i], RSTART + RLENGTH)
			# a lone *word* is in italics
			while (match(parts[i], /\*[^* ][^*]*\*/))
				parts[i] = substr(parts[i], 1, RSTART - 1) "\\fI" substr(parts[i], RSTART + 1, RLENGTH - 2) "\\fR" substr(parts[i], RSTART + RLENGTH)
			result = result parts[i]
		} else {
			gsub("\002", "[", parts[i])
			result = result "\\fB" literal(parts[i]) "\\fR"
		}
	}
	return result
}

# say TEXT: a line that is no request
function say(text) {
	sub(/^[.']/, "\\\\\\&&", text)
	print text
}

# flush: the paragraph that was collected, without the marks of Markdown
function flush() {
	if (paragraph != "") say(inline(paragraph))
	paragraph = ""
}

/^```/ {
	flush()
	is_code = !is_code
	if (is_code) print (after == "none" ? "" : ".PP\n") ".RS 4\n.nf"
	else print ".fi\n.RE"
	after = ".PP"
	next
}
is_code { say(literal($0)); next }
/^# / { next }
/^## / { flush(); print ".SH " toupper(substr($0, 4)); after = "none"; next }
/^### / { flush(); print ".SS " inline(substr($0, 5)); after = "none"; next }
/^$/ { flush(); row = 0; if (after == "") after = ".PP"; next }
/^\|/ {
	flush()
	# the headings, and the line below them
	if (++row <= 2) next
	split($0, cells, / *\| */)
	print ".TP\n" inline(cells[2])
	say(inline(cells[3]))
	after = ".PP"
	next
}
/^- / {
	flush()
	print ".IP \\(bu 2"
	paragraph = substr($0, 3)
	after = ".PP"
	next
}
{
	sub(/^ +/, "")
	if (paragraph == "") {
		if (after == ".PP") print after
		paragraph = $0
		after = ""
	} else paragraph = paragraph " " $0
}
END {
	flush()
	print ".SH SEE ALSO"
	print "The documentation that is installed with the extension, and"
	print ".BR psql (1)."
}
