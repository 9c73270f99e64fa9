CREATE TYPE "public"."level" AS ENUM('guest', 'player');--> statement-breakpoint
CREATE TABLE "games_tags" (
	"game_id" integer NOT NULL,
	"tag" text NOT NULL,
	CONSTRAINT "games_tags_game_id_tag_pk" PRIMARY KEY("game_id","tag")
);
--> statement-breakpoint
CREATE TABLE "tags" (
	"name" text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
ALTER TABLE "games" DROP CONSTRAINT "one_edition";--> statement-breakpoint
ALTER TABLE "players" ADD COLUMN "level" "level" DEFAULT 'guest' NOT NULL;--> statement-breakpoint
ALTER TABLE "games_tags" ADD CONSTRAINT "games_tags_game_id_games_id_fk" FOREIGN KEY ("game_id") REFERENCES "public"."games"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "games_tags" ADD CONSTRAINT "games_tags_tag_tags_name_fk" FOREIGN KEY ("tag") REFERENCES "public"."tags"("name") ON DELETE cascade ON UPDATE cascade;--> statement-breakpoint
CREATE UNIQUE INDEX "one_name" ON "players" USING btree (lower("name"));--> statement-breakpoint
ALTER TABLE "games" ADD CONSTRAINT "one_edition" UNIQUE NULLS NOT DISTINCT("title","year");--> statement-breakpoint
CREATE VIEW "public"."best" AS (select "games"."title", max("scores"."points") as "points" from "games" left join "scores" on "scores"."game_id" = "games"."id" group by "games"."id");