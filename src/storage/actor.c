/*
 * actor.c
 *	  Tells on whose behalf an application deletes: soft_delete.actor, or what another
 *	  setting says.
 *
 * An application behind a pooler, or PostgREST, tells the server its user by a setting
 * of its own.  soft_delete.actor_from names that setting, and the path to the user in it
 * if its value is JSON.
 *
 * Invariant: a value that names nobody, or is not JSON, makes no DELETE fail.  No role
 * reads a setting so that SHOW does not show to it.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "storage/sd_storage.h"

static char *actor = NULL;
static char *actor_from = NULL;

static void check_may_examine(const char *name);
static List *split_path(char *source);
static char *trim(char *text);
static const char *value_at(const char *json, List *path);

/*
 * Define the settings that name the user of the application.
 */
void
init_actor(void)
{
	DefineCustomStringVariable("soft_delete.actor",
							   "Names the user on whose behalf the application deletes rows, for the ledger of deletions.",
							   "An empty string records what soft_delete.actor_from says.",
							   &actor, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("soft_delete.actor_from",
							   "Names the setting that names the user where soft_delete.actor does not.",
							   "Such as application_name, or request.jwt.claims->>sub for a part of a value in JSON.",
							   &actor_from, "", PGC_USERSET, 0, NULL, NULL, NULL);
}

/*
 * Return the user on whose behalf the application deletes, or NULL.
 *
 * Raises 42501 if the setting that would name the user may not be read.
 */
const char *
current_actor(void)
{
	List *path;
	const char *value;

	if (actor != NULL && actor[0] != '\0')
		return actor;
	if (actor_from == NULL || actor_from[0] == '\0')
		return NULL;
	path = split_path(pstrdup(actor_from));
	check_may_examine(linitial(path));
	value = GetConfigOption(linitial(path), true, true);
	if (value == NULL || value[0] == '\0' || list_length(path) == 1)
		return value;
	return value_at(value, list_delete_first(path));
}

/*
 * Raise 42501 unless the role that the session has set may examine a setting.  The server
 * asks whether the current user may, who is a superuser in the extension's own functions.
 */
static void
check_may_examine(const char *name)
{
	if ((GetConfigOptionFlags(name, true) & GUC_SUPERUSER_ONLY) != 0 &&
		!has_privs_of_role(GetOuterUserId(), ROLE_PG_READ_ALL_SETTINGS))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to examine \"%s\"", name),
						errhint("RESET soft_delete.actor_from;")));
}

/*
 * Split the name of a setting and a path, "setting->key->>key", at the arrows.  Changes
 * the string.
 */
static List *
split_path(char *source)
{
	List *path = NIL;
	char *arrow;

	while ((arrow = strstr(source, "->")) != NULL)
	{
		*arrow = '\0';
		path = lappend(path, trim(source));
		source = arrow + (arrow[2] == '>' ? 3 : 2);
	}
	return lappend(path, trim(source));
}

/*
 * Remove blanks, and then quotes, from both ends of a string.  Changes it.
 */
static char *
trim(char *text)
{
	int length;

	text += strspn(text, " ");
	length = strlen(text);
	while (length > 0 && text[length - 1] == ' ')
		length--;
	if (length > 1 && text[0] == '\'' && text[length - 1] == '\'')
	{
		text++;
		length -= 2;
	}
	text[length] = '\0';
	return text;
}

/*
 * Return what a path leads to in a value, or NULL: it leads nowhere, to a null, or the
 * value is not JSON.
 */
static const char *
value_at(const char *json, List *path)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum *keys = palloc(list_length(path) * sizeof(Datum));
	Datum value;
	ListCell *lc;

	if (pg_parse_json(make_json_lexer(json), &nullSemAction) != JSON_SUCCESS)
		return NULL;
	foreach (lc, path)
		keys[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(json);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = PointerGetDatum(
		construct_array(keys, list_length(path), TEXTOID, -1, false, TYPALIGN_INT));
	fcinfo->args[1].isnull = false;
	value = json_extract_path_text(fcinfo);
	return fcinfo->isnull ? NULL : TextDatumGetCString(value);
}
